//! Memory: what is available to this process, and the most that it has used.
//!
//! Read from the files that Linux offers; elsewhere nothing is known, nothing is limited and `peak` is `None`.

use std::fs;
use std::path::{Path, PathBuf};

/// Bytes that can still be taken: the least of what the machine, the control groups around this process and its own
/// limit on address space leave. `None` where the system does not say.
pub fn available() -> Option<usize> {
    [machine(), control_groups(), address_space()].into_iter().flatten().min()
}

/// The high-water mark of this process's memory in bytes, if the system counts it.
pub fn peak() -> Option<usize> {
    kilobytes(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// The limit for a plan: what was asked for, else what is available, else none.
pub fn limit(asked: Option<usize>) -> usize {
    asked.or_else(available).unwrap_or(usize::MAX)
}

fn machine() -> Option<usize> {
    kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// What `ulimit -v` leaves.
fn address_space() -> Option<usize> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let limit: usize = line.split_whitespace().next()?.parse().ok()?;
    let used = kilobytes(&fs::read_to_string("/proc/self/status").ok()?, "VmSize:")?;
    Some(limit.saturating_sub(used))
}

/// The least that any control group from this process's own up to the root leaves; version 2 and version 1.
fn control_groups() -> Option<usize> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    groups
        .lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let (root, names) = match controllers {
                "" => ("/sys/fs/cgroup", ["memory.max", "memory.current", "inactive_file"]),
                "memory" => {
                    ("/sys/fs/cgroup/memory", ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"])
                }
                _ => return None,
            };
            // Inside a container the path may be the host's: then only the root is there to be read.
            let own = PathBuf::from(root).join(path.trim_start_matches('/'));
            own.ancestors().take_while(|group| group.starts_with(root)).filter_map(|g| group_room(g, names)).min()
        })
        .min()
}

/// Limit minus use, where the pages of files that can be given back do not count as used.
fn group_room(group: &Path, [limit, current, reclaimable]: [&str; 3]) -> Option<usize> {
    let number = |name| fs::read_to_string(group.join(name)).ok()?.trim().parse::<usize>().ok();
    let limit = number(limit)?;
    let used = number(current)?;
    let statistics = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let reclaimable =
        statistics.lines().find_map(|line| line.strip_prefix(reclaimable)?.trim().parse::<usize>().ok()).unwrap_or(0);
    Some(limit.saturating_sub(used.saturating_sub(reclaimable)))
}

/// The number after `name`, given in kB, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<usize>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_used_some_memory_and_has_some_left() {
        assert!(peak().unwrap() > 1 << 20);
        assert!(available().unwrap() > 1 << 20);
    }
}
