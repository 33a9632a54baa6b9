CREATE SCHEMA IF NOT EXISTS case_api;

-- The platform keeps antipode.epochs; a database outside it has none, and writes in epoch 0.
CREATE OR REPLACE FUNCTION case_api.epoch() RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE found bigint;
BEGIN
    IF to_regclass('antipode.epochs') IS NULL THEN
        RETURN 0;
    END IF;
    EXECUTE 'SELECT coalesce(max(number), 0) FROM antipode.epochs' INTO found;
    RETURN found;
END $$;

-- Random ids: a number taken from a sequence could be given again to another case after acknowledged rows were lost.
CREATE TABLE IF NOT EXISTS case_api.cases (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    subject       text NOT NULL,
    state         text NOT NULL DEFAULT 'UnderReview' CHECK (state IN ('UnderReview', 'Escalated', 'Closed')),
    version       bigint NOT NULL DEFAULT 1,
    -- The client's own number of the write. Deliberately not unique: a second effect must be seen, not prevented.
    ledger_client text,
    ledger_seq    bigint,
    epoch         bigint NOT NULL,
    lsn           pg_lsn NOT NULL,
    site          text NOT NULL,
    changed_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS cases_ledger ON case_api.cases (ledger_client, ledger_seq);

CREATE TABLE IF NOT EXISTS case_api.audit (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    case_id  uuid NOT NULL REFERENCES case_api.cases (id),
    version  bigint NOT NULL,
    was      text,
    became   text NOT NULL,
    key      text NOT NULL,
    epoch    bigint NOT NULL,
    lsn      pg_lsn NOT NULL,
    site     text NOT NULL,
    instance text NOT NULL,
    at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (case_id, version)
);

CREATE TABLE IF NOT EXISTS case_api.idempotency (
    key      text PRIMARY KEY,
    digest   text NOT NULL,
    status   integer,
    response text,
    replays  bigint NOT NULL DEFAULT 0,
    at       timestamptz NOT NULL DEFAULT now()
);

-- The service owns its tables, so a revoked privilege would bind nobody; a trigger that fires in every
-- replication role does.
CREATE OR REPLACE FUNCTION case_api.append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON case_api.audit
    FOR EACH STATEMENT EXECUTE FUNCTION case_api.append_only();
ALTER TABLE case_api.audit ENABLE ALWAYS TRIGGER append_only;

-- Last: whoever finds this version finds all of the above.
CREATE TABLE IF NOT EXISTS case_api.schema_version (version integer PRIMARY KEY);
INSERT INTO case_api.schema_version VALUES (1) ON CONFLICT DO NOTHING;
