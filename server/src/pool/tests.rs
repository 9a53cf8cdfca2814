use std::sync::mpsc;
use std::time::Duration;

use super::*;

/// Lost otherwise: under overload every request would wait forever instead of some being told to come back.
#[tokio::test]
async fn what_is_beyond_the_bounds_is_refused() {
    let pool = Pool::new(1, 2);
    let (release, held) = mpsc::channel::<()>();
    let (begin, begun) = oneshot::channel();
    let first = tokio::spawn({
        let pool = pool.clone();
        let work = move || {
            begin.send(()).ok();
            held.recv().map_err(|_| ApiError::internal("gone"))
        };
        async move { pool.run(work).await }
    });
    begun.await.unwrap();
    let others: Vec<_> = (0..3)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.run(|| Ok(())).await })
        })
        .collect();
    let one_is_refused = async {
        while !others.iter().any(tokio::task::JoinHandle::is_finished) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), one_is_refused).await.unwrap();
    release.send(()).unwrap();
    let mut refused = 0;
    for other in others {
        if let Err(error) = other.await.unwrap() {
            assert_eq!((error.status.as_u16(), error.retry_after_seconds), (503, Some(1)));
            refused += 1;
        }
    }
    assert_eq!(refused, 1);
    first.await.unwrap().unwrap();
    pool.run(|| Ok(())).await.unwrap();
}

/// Lost otherwise: a panic in the engine would leave its client without an answer and a place taken forever.
#[tokio::test]
async fn a_panic_gives_its_place_back() {
    let pool = Pool::new(1, 1);
    for _ in 0..3 {
        let error = pool.run(|| -> Result<(), ApiError> { panic!("bug") }).await.unwrap_err();
        assert_eq!(error.status.as_u16(), 500);
    }
    pool.run(|| Ok(())).await.unwrap();
}
