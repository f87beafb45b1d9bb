//! Decides how much of the machine one guest may use.
//!
//! A refused `memory.grow` answers -1 to the guest, as on a machine that has no more. A guest whose first memory is
//! over the limit cannot be started; [`GuestLimiter::refusal`] then tells the numbers.

use wasmtime::ResourceLimiter;

/// Tables of one guest may have so many entries together: some megabytes of host memory.
const DEFAULT_TABLE_ENTRIES: usize = 1_000_000;

/// Core instances, memories and tables of one guest. Python's component has about fifty of each.
const DEFAULT_COUNT: usize = 1_000;

/// What one guest may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of all its instances together, in bytes. `None` leaves it to the machine.
    pub memory_bytes: Option<u64>,
    /// Entries of all its tables together.
    pub table_entries: usize,
    /// Core instances, memories and tables, each.
    pub count: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { memory_bytes: None, table_entries: DEFAULT_TABLE_ENTRIES, count: DEFAULT_COUNT }
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
    refusal: Option<MemoryRefusal>,
}

impl GuestLimiter {
    /// Starts with nothing used.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        GuestLimiter { limits, memory_bytes: 0, table_entries: 0, refusal: None }
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
        let wanted_bytes = self.memory_bytes.saturating_add(desired.saturating_sub(current) as u64);
        if let Some(limit_bytes) = self.limits.memory_bytes
            && wanted_bytes > limit_bytes
        {
            self.refusal = Some(MemoryRefusal { wanted_bytes, limit_bytes });
            return Ok(false);
        }
        self.memory_bytes = wanted_bytes;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let wanted = self.table_entries.saturating_add(desired.saturating_sub(current));
        if wanted > self.limits.table_entries {
            return Ok(false);
        }
        self.table_entries = wanted;
        Ok(true)
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
    fn tables_count_together() {
        let mut limiter = GuestLimiter::new(Limits { table_entries: 10, ..Limits::default() });
        assert!(limiter.table_growing(0, 6, None).unwrap());
        assert!(!limiter.table_growing(0, 5, None).unwrap());
        assert!(limiter.table_growing(0, 4, None).unwrap());
    }
}
