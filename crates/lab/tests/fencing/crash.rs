//! The server dies, wholly or in part, while its site lives.

use controller::clock;

use crate::site::{Lab, kill, spec, wait_gone};
use crate::writer::{Writers, connect};

/// SIGKILL for the postmaster alone, while a backend is busy in a loop of commits and so does not notice. Everything is
/// killed, and the server starts once more in the same epoch with every acknowledged write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orphaned_backends_die_with_their_postmaster_and_the_server_restarts() {
    let lab = Lab::up(&spec("ask")).await;
    let writers = Writers::start(&lab, &lab.alpha, 2).await;
    writers.wait_for(50).await;
    let epoch = lab.wait_writing(&lab.alpha).await;
    let (busy, _tie) = connect(&lab.gate(&lab.alpha)).await.unwrap();
    busy.batch_execute("create table busy (at timestamptz)").await.unwrap();
    let backend: i32 = busy.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    let endless = tokio::spawn(async move {
        busy.batch_execute("do $$ begin loop insert into busy values (clock_timestamp()); commit; end loop; end $$")
            .await
    });
    writers.wait_for(10).await;

    let servers = lab.servers(&lab.alpha);
    assert!(servers.contains(&backend));
    kill(lab.postmaster(&lab.alpha));
    let killed = clock::now();
    wait_gone(&servers).await;
    let took = clock::now().since(killed);
    println!("every process was gone after {took:?}");
    assert!(took < lab.lease() * 2, "orphans went on for {took:?}");
    assert!(endless.await.unwrap().is_err());
    assert_eq!(lab.wait_writing(&lab.alpha).await, epoch, "restarted in the same epoch");
    writers.wait_for(50).await;
    assert_eq!(writers.missing(&lab, &lab.alpha, clock::now()).await, Vec::<i64>::new());
    lab.down().await;
}
