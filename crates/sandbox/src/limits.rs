//! Decides how much of the machine one guest may use, as far as the engine counts it.
//!
//! A refused `memory.grow` answers -1 to the guest, as on a machine that has no more. A guest whose first memory is
//! over the limit cannot be started; [`GuestLimiter::refusal`] then tells the numbers. Most other limits end the guest,
//! because the engine has no way to refuse; [`TrapReport`](crate::TrapReport) then names the limit.

use wasmtime::{ResourceLimiter, StoreContextMut};

/// Tables of one guest may have so many entries together: some megabytes of host memory.
const DEFAULT_TABLE_ENTRIES: usize = 1_000_000;

/// Core instances, memories and tables of one guest. Python's component has about fifty of each.
const DEFAULT_COUNT: usize = 1_000;

/// Resources of its host that one guest may have. A socket with its two streams and a pollable for each of the three is
/// six, so 4,096 sockets fit; a resource costs its host some hundred bytes at least.
const DEFAULT_RESOURCES: usize = 32 * 1024;

/// Handles of one guest: of its own resources and its host's, of streams, futures, tasks and sets of them. A stream is
/// two, and costs its host almost a kilobyte.
const DEFAULT_HANDLES: usize = 64 * 1024;

/// What the engine keeps for the streams, futures and tasks behind one handle, at most: a task that waits is a task, a
/// thread and a set.
const ENTRIES_PER_HANDLE: usize = 4;

/// What a component may hand to its host in one call, in bytes. Streams take 64 KiB at a time; this much is for the whole
/// file that is written at once. It is copied, and an argument may name the same memory more than once, so this, and
/// not the guest's memory, is what bounds the copy.
const DEFAULT_CALL_BYTES: usize = 16 << 20;

/// What one guest may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of all its instances together, in bytes. `None` leaves it to the machine.
    pub memory_bytes: Option<u64>,
    /// Entries of all its tables together.
    pub table_entries: usize,
    /// Core instances, memories and tables, each.
    pub count: usize,
    /// Resources of its host that it has at once.
    pub resources: usize,
    /// Handles that it has at once, of whatever kind.
    pub handles: usize,
    /// What a component may hand to its host in one call, in bytes.
    pub call_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory_bytes: None,
            table_entries: DEFAULT_TABLE_ENTRIES,
            count: DEFAULT_COUNT,
            resources: DEFAULT_RESOURCES,
            handles: DEFAULT_HANDLES,
            call_bytes: DEFAULT_CALL_BYTES,
        }
    }
}

impl Limits {
    /// Tells the store of a component what it may have.
    pub fn bound<T: 'static>(&self, mut store: StoreContextMut<'_, T>) {
        store.set_hostcall_fuel(self.call_bytes);
        store.set_max_component_handles(self.handles);
        if let Some(tasks) = store.concurrent_resource_table() {
            tasks.set_max_capacity(self.handles.saturating_mul(ENTRIES_PER_HANDLE));
        }
    }
}

/// Memory that was asked for and refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRefusal {
    /// What the guest would have had then, in bytes.
    pub wanted_bytes: u64,
    /// What it may have, in bytes.
    pub limit_bytes: u64,
}

/// Keeps the books of one guest against its [`Limits`].
#[derive(Debug)]
pub struct GuestLimiter {
    limits: Limits,
    memory_bytes: u64,
    table_entries: usize,
    /// By how much a memory or a table grew last: the system may still refuse that.
    last_growth: usize,
    refusal: Option<MemoryRefusal>,
}

impl GuestLimiter {
    /// Starts with nothing used.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        GuestLimiter { limits, memory_bytes: 0, table_entries: 0, last_growth: 0, refusal: None }
    }

    /// What the guest may use.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The last memory that was refused.
    #[must_use]
    pub fn refusal(&self) -> Option<MemoryRefusal> {
        self.refusal
    }

    /// What the guest's memories are together now, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }
}

impl ResourceLimiter for GuestLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let growth = desired.saturating_sub(current);
        let wanted_bytes = self.memory_bytes.saturating_add(growth as u64);
        if let Some(limit_bytes) = self.limits.memory_bytes
            && wanted_bytes > limit_bytes
        {
            self.refusal = Some(MemoryRefusal { wanted_bytes, limit_bytes });
            return Ok(false);
        }
        (self.memory_bytes, self.last_growth) = (wanted_bytes, growth);
        Ok(true)
    }

    /// The system had no memory for what was allowed.
    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory_bytes = self.memory_bytes.saturating_sub(std::mem::take(&mut self.last_growth) as u64);
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let growth = desired.saturating_sub(current);
        let wanted = self.table_entries.saturating_add(growth);
        if wanted > self.limits.table_entries {
            return Ok(false);
        }
        (self.table_entries, self.last_growth) = (wanted, growth);
        Ok(true)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.table_entries = self.table_entries.saturating_sub(std::mem::take(&mut self.last_growth));
        Ok(())
    }

    fn instances(&self) -> usize {
        self.limits.count
    }

    fn tables(&self) -> usize {
        self.limits.count
    }

    fn memories(&self) -> usize {
        self.limits.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(memory_bytes: u64) -> GuestLimiter {
        GuestLimiter::new(Limits { memory_bytes: Some(memory_bytes), ..Limits::default() })
    }

    #[test]
    fn memories_count_together() {
        let mut limiter = limiter(100);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.memory_growing(0, 30, None).unwrap());
        assert!(!limiter.memory_growing(30, 41, None).unwrap());
        assert_eq!(limiter.refusal(), Some(MemoryRefusal { wanted_bytes: 101, limit_bytes: 100 }));
        assert!(limiter.memory_growing(30, 40, None).unwrap());
        assert_eq!(limiter.memory_bytes(), 100);
    }

    #[test]
    fn a_memory_that_cannot_grow_is_not_counted() {
        let mut limiter = limiter(100);
        assert!(!limiter.memory_growing(0, 60, Some(50)).unwrap());
        assert_eq!(limiter.memory_bytes(), 0);
        assert_eq!(limiter.refusal(), None);
    }

    #[test]
    fn what_the_system_refused_is_not_counted() {
        let mut limiter = limiter(100);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.memory_growing(60, 90, None).unwrap());
        limiter.memory_grow_failed(wasmtime::Error::msg("no memory")).unwrap();
        assert_eq!(limiter.memory_bytes(), 60);
        assert!(limiter.table_growing(0, 7, None).unwrap());
        limiter.table_grow_failed(wasmtime::Error::msg("no memory")).unwrap();
        assert!(limiter.table_growing(0, limiter.limits().table_entries, None).unwrap());
    }

    #[test]
    fn tables_count_together() {
        let mut limiter = GuestLimiter::new(Limits { table_entries: 10, ..Limits::default() });
        assert!(limiter.table_growing(0, 6, None).unwrap());
        assert!(!limiter.table_growing(0, 5, None).unwrap());
        assert!(limiter.table_growing(0, 4, None).unwrap());
    }
}
