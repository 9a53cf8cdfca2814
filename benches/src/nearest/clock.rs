//! How much time does work take: the processor's, of all threads of this process, and the wall's?
//!
//! The processor's time is what is compared: on a machine that others share, the wall's is partly theirs.

use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Timed passes are repeated this often at most.
const PASSES_MAX: usize = 3;
/// No further pass begins once they took so long together, in seconds of the processor.
const PASSES_SECONDS: f64 = 5.0;

/// Time that work took, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// The processor's.
    pub cpu: f64,
    /// The wall's.
    pub wall: f64,
}

impl Cost {
    /// As the results have it.
    pub fn json(self) -> Value {
        json!({"cpu_s": self.cpu, "wall_s": self.wall})
    }
}

/// What work takes, with its result.
pub fn cost<R>(work: impl FnOnce() -> R) -> (R, Cost) {
    let (cpu, begun) = (processor(), Instant::now());
    let result = work();
    (result, Cost { cpu: (processor() - cpu).as_secs_f64(), wall: begun.elapsed().as_secs_f64() })
}

/// What one query costs of so many that are asked one after another, warm: the middle one of up to three passes. The
/// wall's time is the median of the single queries.
pub fn each(queries: usize, mut ask: impl FnMut(usize)) -> Cost {
    let mut passes: Vec<Cost> = Vec::new();
    while passes.len() < PASSES_MAX && passes.iter().map(|pass| pass.cpu).sum::<f64>() < PASSES_SECONDS {
        let mut walls = Vec::with_capacity(queries);
        let (_, pass) = cost(|| {
            for query in 0..queries {
                let begun = Instant::now();
                ask(query);
                walls.push(begun.elapsed());
            }
        });
        passes.push(Cost { cpu: pass.cpu, wall: crate::percentile(&mut walls, 0.5).as_secs_f64() });
    }
    passes.sort_unstable_by(|a, b| a.cpu.total_cmp(&b.cpu));
    let middle = passes[passes.len() / 2];
    Cost { cpu: middle.cpu / queries as f64, wall: middle.wall }
}

fn processor() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
