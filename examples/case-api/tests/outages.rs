//! What the service says when the writer is away, frozen, read-only or in doubt.

mod common;

use std::time::{Duration, Instant};

use common::{Postgres, Reply, Service, eventually, free_port, url};
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

fn outcome(reply: &Reply) -> (u16, Option<&str>) {
    (reply.status, reply.body["outcome"].as_str())
}

#[tokio::test]
async fn no_database_no_readiness_and_a_quick_refusal() {
    let env = [("API_SECRET", "s"), ("REQUEST_TIMEOUT", "60s"), ("CONNECT_TIMEOUT", "60s")];
    let service = Service::with(&url(free_port()), &env).await;
    let (ready, why) = service.ready().await;
    assert!(!ready && why["why"].is_string(), "{why}");
    let asked = Instant::now();
    assert_eq!(outcome(&service.open("k").await), (503, Some("refused")));
    assert!(asked.elapsed() < Duration::from_secs(20), "a refused connection is not waited for");
}

#[tokio::test]
async fn no_secret_no_readiness() {
    let postgres = Postgres::start().await;
    for env in [&[][..], &[("API_SECRET", "")][..]] {
        let service = Service::with(&postgres.url(), env).await;
        let (ready, why) = service.ready().await;
        assert!(!ready && why["why"] == "API_SECRET is not set", "{why}");
        assert_eq!(outcome(&service.open("k").await), (503, Some("refused")));
        assert_eq!(service.get("/live").await.status(), 200);
    }
}

#[tokio::test]
async fn a_standby_is_not_ready_until_it_is_promoted() {
    let mut writer = Postgres::start().await;
    let home = Service::start(&writer.url()).await;
    home.until_ready().await;
    let first = home.open("k").await;
    let standby = writer.standby().await;
    let away = Service::start(&standby.url()).await;
    let (ready, why) = away.ready().await;
    assert!(!ready && why["why"] == "the database is in recovery", "{why}");
    assert_eq!(outcome(&away.open("other").await), (503, Some("refused")));

    eventually("the row is replicated", async || {
        standby.count("SELECT count(*) FROM case_api.idempotency WHERE status = 201").await == 1
    })
    .await;
    writer.stop();
    standby.admin("cases").await.execute("SELECT pg_promote(true)", &[]).await.unwrap();
    away.until_ready().await;
    let retried = away.open("k").await;
    assert_eq!((retried.status, retried.replayed), (201, true), "retried across the failover: {retried:?}");
    assert_eq!(retried.body, first.body);
    assert_eq!(standby.count("SELECT count(*) FROM case_api.cases").await, 1);
}

#[tokio::test]
async fn a_writer_that_comes_back_is_used_at_once() {
    let mut postgres = Postgres::start().await;
    let service = Service::start(&postgres.url()).await;
    service.until_ready().await;
    assert_eq!(service.open("before").await.status, 201);
    postgres.stop();
    assert_eq!(outcome(&service.open("during").await), (503, Some("refused")));
    postgres.boot();
    postgres.admin("cases").await;
    let reply = service.open("after").await;
    assert_eq!(reply.status, 201, "the first command after the server answers: {reply:?}");
}

#[tokio::test]
async fn a_cancelled_wait_for_the_standby_is_unknown_and_so_is_its_retry() {
    let postgres = Postgres::start().await;
    let service = Service::with(&postgres.url(), &[("API_SECRET", "s"), ("REQUEST_TIMEOUT", "30s")]).await;
    service.until_ready().await;
    let admin = postgres.admin("cases").await;
    let set = async |names: &str| {
        admin.batch_execute(&format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'")).await.unwrap();
        admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        eventually("reloaded", async || {
            postgres.count("SELECT (current_setting('synchronous_standby_names') = '')::int::bigint").await
                == i64::from(names.is_empty())
        })
        .await;
    };
    set("nobody").await;
    let cancel = async || {
        eventually("a commit waits for the standby", async || {
            let sql = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
            postgres.count(sql).await > 0
        })
        .await;
    };
    let (reply, ()) = tokio::join!(service.open("k"), cancel());
    assert_eq!(outcome(&reply), (503, Some("unknown")), "{reply:?}");
    assert_eq!(postgres.count("SELECT count(*) FROM case_api.cases").await, 1, "the server committed all the same");

    let (reply, ()) = tokio::join!(service.open("k"), cancel());
    assert_eq!(outcome(&reply), (503, Some("unknown")), "a replay waits for the standby too: {reply:?}");
    set("").await;
    let reply = service.open("k").await;
    assert_eq!((reply.status, reply.replayed), (201, true), "{reply:?}");
    assert_eq!(postgres.count("SELECT count(*) FROM case_api.cases").await, 1);
}

#[tokio::test]
async fn waiting_commits_are_bounded_and_finish_when_the_standby_is_back() {
    let postgres = Postgres::start().await;
    let env = [("API_SECRET", "s"), ("REQUEST_TIMEOUT", "500ms"), ("POOL_SIZE", "2")];
    let service = Service::with(&postgres.url(), &env).await;
    service.until_ready().await;
    let admin = postgres.admin("cases").await;
    admin.batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await.unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    eventually("two commits wait", async || {
        // The first may slip through before every server process has read the new setting.
        service.open(&format!("w-{}", rand::random::<u64>())).await;
        postgres.count("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'").await == 2
    })
    .await;
    assert_eq!(outcome(&service.open("more").await), (503, Some("refused")), "no third server process is tied up");
    admin.batch_execute("ALTER SYSTEM RESET synchronous_standby_names").await.unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    eventually("the pool is free again", async || service.open("more").await.status == 201).await;
}

#[tokio::test]
async fn a_frozen_gate_hangs_nobody() {
    let postgres = Postgres::start().await;
    let (gate, frozen) = gate(postgres.port).await;
    let env = [("API_SECRET", "s"), ("REQUEST_TIMEOUT", "500ms"), ("CONNECT_TIMEOUT", "300ms")];
    let service = Service::with(&url(gate), &env).await;
    service.until_ready().await;
    assert_eq!(service.open("before").await.status, 201);
    frozen.send_replace(true);
    for key in ["f1", "f2", "f3"] {
        let asked = Instant::now();
        let reply = service.open(key).await;
        assert_eq!(outcome(&reply), (503, Some("refused")), "it froze before COMMIT: {reply:?}");
        assert!(asked.elapsed() < Duration::from_secs(10), "bounded: {:?}", asked.elapsed());
    }
    assert!(!service.ready().await.0);
    frozen.send_replace(false);
    eventually("works after the thaw", async || service.open("after").await.status == 201).await;
}

#[tokio::test]
async fn a_connection_lost_in_commit_is_unknown() {
    let postgres = Postgres::start().await;
    let service = Service::with(&postgres.url(), &[("API_SECRET", "s"), ("REQUEST_TIMEOUT", "30s")]).await;
    service.until_ready().await;
    let admin = postgres.admin("cases").await;
    admin.batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await.unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let terminate = eventually("a commit is cut off", async || {
        // Give commits something to wait in, then cut the connection there.
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        postgres.count(sql).await > 0
    });
    let commit = async {
        loop {
            let reply = service.post("/cases", &rand::random::<u64>().to_string(), &json!({ "subject": "s" })).await;
            if reply.status != 201 {
                return reply;
            }
        }
    };
    let (reply, ()) = tokio::join!(commit, terminate);
    assert_eq!(outcome(&reply), (503, Some("unknown")), "{reply:?}");
}

/// A TCP gate in front of `port` that forwards nothing, and accepts nobody, while frozen.
async fn gate(port: u16) -> (u16, watch::Sender<bool>) {
    let listener = TcpListener::bind(("127.0.0.1", free_port())).await.unwrap();
    let (freeze, frozen) = watch::channel(false);
    let address = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let mut frozen = frozen.clone();
            let Ok((mut client, _)) = listener.accept().await else { return };
            tokio::spawn(async move {
                let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                let mut thaw = frozen.clone();
                loop {
                    if thaw.wait_for(|frozen| !frozen).await.is_err() {
                        return;
                    }
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => return,
                        _ = frozen.wait_for(|frozen| *frozen) => {}
                    }
                }
            });
        }
    });
    (address, freeze)
}
