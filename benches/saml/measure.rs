//! What an operation takes: CPU by the process clock, allocations by a counting allocator, resident memory by the kernel.

use cpu_time::ProcessTime;
use peak_alloc::PeakAlloc;
use std::fs;
use std::time::Duration;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Rounds in which a case is measured.
const ROUNDS: usize = 9;

/// How long a round takes at least, so that the clock and the caches matter little.
const ROUND: Duration = Duration::from_millis(60);

/// Several rounds of one operation.
#[derive(Clone, Copy)]
pub struct Cost {
    /// Microseconds of CPU for one: the median round, the quickest, the slowest.
    pub median: f64,
    pub least: f64,
    pub most: f64,
    /// Bytes that Rust code had allocated at the same time, at most, beyond those from before.
    pub heap: usize,
}

impl Cost {
    /// As many as a core does in a second.
    pub fn per_second(&self) -> f64 {
        1e6 / self.median
    }
}

/// Measures the CPU of all threads of this process for something that a round repeats until it has taken long enough.
pub fn measure(mut once: impl FnMut()) -> Cost {
    once();
    let heap = heap(&mut once);
    let mut times = 1_u32;
    let mut rounds = Vec::with_capacity(ROUNDS);
    while rounds.len() < ROUNDS {
        let start = ProcessTime::now();
        (0..times).for_each(|_| once());
        let took = start.elapsed();
        if took < ROUND && rounds.is_empty() {
            let missing = ROUND.as_secs_f64() / took.as_secs_f64().max(1e-7);
            times = times.saturating_mul((missing.ceil() as u32).clamp(2, 1000));
            continue;
        }
        rounds.push(took.as_secs_f64() * 1e6 / f64::from(times));
    }
    rounds.sort_by(f64::total_cmp);
    Cost { median: rounds[ROUNDS / 2], least: rounds[0], most: rounds[ROUNDS - 1], heap }
}

/// The peak of what one operation allocates by Rust's allocator.
pub fn heap(once: impl FnOnce()) -> usize {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    once();
    HEAP.peak_usage().saturating_sub(before)
}

/// Settings of the C library under which what is freed goes back to the kernel soon, so that the resident peak of a
/// later operation shows all that it takes.
pub const MALLOC: [(&str, &str); 4] = [
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_MMAP_THRESHOLD_", "65536"),
    ("MALLOC_TRIM_THRESHOLD_", "0"),
    ("MALLOC_TOP_PAD_", "0"),
];

/// By how many bytes the resident memory of this process grew at most: what Rust and C code took together, in whole
/// pages. `None` where the kernel does not say.
pub fn resident(once: impl FnOnce()) -> Option<usize> {
    // proc(5): forgets the peak so far
    fs::write("/proc/self/clear_refs", "5").ok()?;
    let before = status("VmRSS:")?;
    once();
    Some(status("VmHWM:")?.saturating_sub(before))
}

fn status(name: &str) -> Option<usize> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1024)
}
