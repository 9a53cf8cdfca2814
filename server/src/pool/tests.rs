//! Is what blocks bounded, and does everyone get their turn?

use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::*;

/// A call that runs until it is released.
async fn held(pool: &Pool) -> (mpsc::Sender<()>, JoinHandle<Result<(), ApiError>>) {
    let (release, held) = mpsc::channel::<()>();
    let (begin, begun) = oneshot::channel();
    let running = tokio::spawn({
        let pool = pool.clone();
        let work = move || {
            begin.send(()).ok();
            held.recv().map_err(|_| ApiError::internal("gone"))
        };
        async move { pool.run(work).await }
    });
    begun.await.unwrap();
    (release, running)
}

/// Lost otherwise: under overload every request would wait forever instead of some being told to come back.
#[tokio::test]
async fn what_is_beyond_the_bounds_is_refused() {
    let pool = Pool::new(1, 2);
    let (release, first) = held(&pool).await;
    let others: Vec<_> = (0..3)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.run(|| Ok(())).await })
        })
        .collect();
    let one_is_refused = async {
        while !others.iter().any(JoinHandle::is_finished) {
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

/// Lost otherwise: one tenant's flood would keep everybody else waiting until it is over.
#[tokio::test]
async fn a_flood_waits_behind_itself_alone() {
    let pool = Pool::new(1, 100);
    let (release, held) = mpsc::channel::<()>();
    let (begin, begun) = oneshot::channel();
    let flooding = Tenant(1);
    let first = tokio::spawn({
        let pool = pool.clone();
        let work = move || {
            begin.send(()).ok();
            held.recv().map_err(|_| ApiError::internal("gone"))
        };
        async move { pool.run_for(flooding, work).await }
    });
    begun.await.unwrap();
    let (done, order) = mpsc::channel();
    let call = |tenant: Tenant| {
        let (pool, done) = (pool.clone(), done.clone());
        let work = move || done.send(tenant.0).map_err(|_| ApiError::internal("gone"));
        with_tenant(async move {
            now_for(tenant);
            pool.run(work).await
        })
    };
    let mut calls: Vec<_> = (0..20).map(|_| tokio::spawn(call(flooding))).collect();
    while lock(&pool.turns).waiting() < 20 {
        tokio::task::yield_now().await;
    }
    calls.push(tokio::spawn(call(Tenant(2))));
    while lock(&pool.turns).waiting() < 21 {
        tokio::task::yield_now().await;
    }
    release.send(()).unwrap();
    first.await.unwrap().unwrap();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let order: Vec<_> = order.try_iter().collect();
    assert_eq!(order.len(), 21);
    assert!(order[..2].contains(&2), "{order:?}");
}

/// Lost otherwise: places of callers who have hung up would be kept from those who wait.
#[tokio::test]
async fn who_hangs_up_waits_no_more() {
    let pool = Pool::new(1, 2);
    let (release, first) = held(&pool).await;
    for _ in 0..10 {
        let mut call = Box::pin(pool.run(|| Ok(())));
        let waits = std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await;
        assert!(waits, "it was refused");
    }
    let last = tokio::spawn({
        let pool = pool.clone();
        async move { pool.run(|| Ok(7)).await }
    });
    release.send(()).unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(last.await.unwrap().unwrap(), 7);
}

/// Lost otherwise: each caller who hung up at the wrong moment would take a thread along, until none is left.
#[tokio::test]
async fn a_turn_that_nobody_takes_goes_to_the_next() {
    let pool = Pool::new(1, 100);
    let (release, first) = held(&pool).await;
    for _ in 0..10 {
        let mut call = Box::pin(pool.run(|| Ok(())));
        let waits = std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await;
        assert!(waits, "it was refused");
    }
    release.send(()).unwrap();
    first.await.unwrap().unwrap();
    let last = tokio::time::timeout(Duration::from_secs(30), pool.run(|| Ok(7))).await;
    assert_eq!(last.expect("a thread is free").unwrap(), 7);
}
