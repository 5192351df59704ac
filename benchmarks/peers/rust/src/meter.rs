//! What a stretch of the program cost: benchmarks/subjects/meter.py, in Rust.

use std::{fs, mem, time::Instant};

pub struct Meter {
    rss: i64,
    cpu: f64,
    wall: Instant,
}

pub struct Cost {
    pub cpu_seconds: f64,
    pub wall_seconds: f64,
    pub rss_bytes: i64,
    pub peak_bytes: i64,
}

impl Meter {
    pub fn begin() -> Self {
        let rss = settled_rss();
        // Forget the peak so far.
        let _ = fs::write("/proc/self/clear_refs", "5");
        Meter { rss, wall: Instant::now(), cpu: cpu_seconds() }
    }

    pub fn end(&self) -> Cost {
        let (cpu, wall) = (cpu_seconds() - self.cpu, self.wall.elapsed());
        let peak = status("VmHWM:");
        Cost {
            cpu_seconds: cpu,
            wall_seconds: wall.as_secs_f64(),
            rss_bytes: settled_rss() - self.rss,
            peak_bytes: peak - self.rss,
        }
    }
}

/// The clock that all processes of the machine share, in nanoseconds.
pub fn now() -> i64 {
    let mut moment: libc::timespec = unsafe { mem::zeroed() };
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut moment) };
    moment.tv_sec * 1_000_000_000 + moment.tv_nsec
}

/// The memory held when what is free has been returned to the system.
pub fn settled_rss() -> i64 {
    unsafe { libc::malloc_trim(0) };
    status("VmRSS:")
}

fn cpu_seconds() -> f64 {
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// The bytes of one line of /proc/self/status.
fn status(name: &str) -> i64 {
    let content = fs::read_to_string("/proc/self/status").expect("procfs");
    let line = content.lines().find(|line| line.starts_with(name)).expect("a line of that name");
    line.split_whitespace().nth(1).expect("a value").parse::<i64>().expect("a number") << 10
}
