//! Who lets commits be acknowledged before they are safe (SAFETY.md item 8), as far as the catalogue tells.
//!
//! Any session may also say `SET synchronous_commit`: PostgreSQL lets every user do that, and shows it to nobody else.

use tokio_postgres::SimpleQueryRow;

use super::server::Server;
use super::session::column;
use super::{Error, LaxCommit};

const SET: &str = "
    select case when r.rolname is not null and d.datname is not null
                    then 'for role ' || r.rolname || ' in database ' || d.datname
                when r.rolname is not null then 'for role ' || r.rolname
                else 'for database ' || coalesce(d.datname, '?') end as whose,
        split_part(c.setting, '=', 2) as value
    from pg_db_role_setting s left join pg_roles r on r.oid = s.setrole left join pg_database d on d.oid = s.setdatabase
        cross join lateral unnest(s.setconfig) as c(setting)
    where c.setting ilike 'synchronous_commit=%'
    union all
    select 'in function ' || p.oid::regprocedure, split_part(c.setting, '=', 2)
    from pg_proc p cross join lateral unnest(p.proconfig) as c(setting) where c.setting ilike 'synchronous_commit=%'
    union all
    select 'for the whole server', setting from pg_settings
    where name = 'synchronous_commit' and source = 'configuration file'
    order by 1";

impl Server {
    pub(super) async fn find_lax_commits(&self) -> Result<Vec<LaxCommit>, Error> {
        let rows = self.ask("look for settings that lose writes", SET, self.config.limits.query).await?;
        Ok(rows.iter().filter_map(lax).collect())
    }
}

fn lax(row: &SimpleQueryRow) -> Option<LaxCommit> {
    let value = column(row, "value").to_ascii_lowercase();
    below_on(&value).then(|| LaxCommit { whose: column(row, "whose").to_owned(), value })
}

/// As PostgreSQL reads it.
fn below_on(value: &str) -> bool {
    !matches!(value, "on" | "remote_apply" | "true" | "yes" | "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_waits_for_less_than_the_standbys_disk_is_lax() {
        for value in ["off", "local", "remote_write", "false", "no", "0"] {
            assert!(below_on(value), "{value}");
        }
        for value in ["on", "remote_apply", "true", "yes", "1"] {
            assert!(!below_on(value), "{value}");
        }
    }
}
