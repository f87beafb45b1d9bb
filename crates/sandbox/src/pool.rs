//! Decides how large a pool must be for so many instances of one guest, and whether the machine can hold it.
//!
//! A pool sets all its places apart when the engine is built: address space for every memory, table and stack. That
//! costs no memory, but it is not endless: a process has 47 bits of addresses, and the kernel keeps count of its
//! mappings.

use std::fmt;
use std::str::FromStr;

use wasmtime::{Enabled, PoolingAllocationConfig};

use crate::machine;
use crate::settings::{Concurrency, WHOLE_STACK_BYTES};

/// What the engine sets apart for one memory: 4 GiB that 32 bits can name and the guard behind them, in bytes.
const MEMORY_PLACE_BYTES: u64 = (4 << 30) + (32 << 20);

/// What a table takes for each entry, in bytes.
const TABLE_ENTRY_BYTES: u64 = 8;

/// One unbroken stretch of the 47 bits must hold all memories. Where the program itself lies breaks them in two, and
/// about 85 TiB is the larger part.
const ADDRESS_SPACE_BYTES: u64 = 80 << 40;

/// Mappings of one memory: the guest's image, what follows it, and what is out of bounds.
const MAPPINGS_PER_MEMORY: u64 = 3;

/// Mappings of one stack: itself and its guard.
const MAPPINGS_PER_STACK: u64 = 2;

/// Mappings that the rest of the process may have: threads, libraries, compiled code, what `malloc` maps.
const OTHER_MAPPINGS: u64 = 4096;

/// A table of a guest may grow to so many entries at least.
const MIN_TABLE_ENTRIES: u64 = 20_000;

/// What stays in memory of a linear memory that nobody uses, in bytes: clearing it is cheaper than having the kernel take
/// it away and bring it back page by page.
const MEMORY_KEPT_BYTES: usize = 1 << 20;

/// The same for a table.
const TABLE_KEPT_BYTES: usize = 64 << 10;

/// The engine's own records of an instance may be so large, in bytes. They are allocated as they are needed; Python's
/// component is over the engine's default of 1 MiB.
const MAX_RECORDS_BYTES: usize = 64 << 20;

/// What one instance of a guest takes from a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Linear memories.
    pub memories: u32,
    /// Tables.
    pub tables: u32,
    /// Entries that the largest table begins with.
    pub table_entries: u64,
}

/// A pool with room for so many instances of one guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolSize {
    /// How many guests may live at once.
    pub instances: u32,
    /// Linear memories of each.
    pub memories_per_instance: u32,
    /// Tables of each.
    pub tables_per_instance: u32,
    /// Entries that a table may have at most.
    pub table_entries: u64,
}

/// More instances than this machine can keep apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{wanted} instances of this guest at once are more than fit into a process here; {most} do")]
pub struct PoolTooLargeError {
    /// How many were asked for.
    pub wanted: u32,
    /// The largest number that fits.
    pub most: u32,
}

impl PoolSize {
    /// Sizes a pool for `instances` instances of a guest, at least one.
    ///
    /// # Errors
    ///
    /// So many would use up the addresses or the mappings of a process.
    pub fn for_guest(demand: Demand, instances: u32) -> Result<PoolSize, PoolTooLargeError> {
        PoolSize::within(demand, instances, machine::max_mappings())
    }

    fn within(demand: Demand, wanted: u32, max_mappings: u64) -> Result<PoolSize, PoolTooLargeError> {
        let size = PoolSize {
            instances: wanted.max(1),
            memories_per_instance: demand.memories,
            tables_per_instance: demand.tables,
            table_entries: demand.table_entries.max(MIN_TABLE_ENTRIES),
        };
        let most = size.most(max_mappings);
        if size.instances > most { Err(PoolTooLargeError { wanted, most }) } else { Ok(size) }
    }

    /// The largest number of instances that fits.
    fn most(&self, max_mappings: u64) -> u32 {
        let memories = u64::from(self.memories_per_instance);
        let stacks = u64::from(stacks_per_instance(Concurrency::On));
        let tables_bytes = u64::from(self.tables_per_instance).saturating_mul(self.table_entries * TABLE_ENTRY_BYTES);
        let bytes = (memories * MEMORY_PLACE_BYTES)
            .saturating_add(tables_bytes)
            .saturating_add(stacks * WHOLE_STACK_BYTES as u64);
        let mappings = memories * MAPPINGS_PER_MEMORY + stacks * MAPPINGS_PER_STACK;
        let most = (ADDRESS_SPACE_BYTES / bytes).min(max_mappings.saturating_sub(OTHER_MAPPINGS) / mappings);
        u32::try_from(most).unwrap_or(u32::MAX)
    }

    /// The engine's configuration of such a pool.
    pub(crate) fn config(&self, concurrency: Concurrency) -> PoolingAllocationConfig {
        let all = |each: u32| self.instances.saturating_mul(each);
        let memories = all(self.memories_per_instance);
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(self.instances)
            // Nothing is set apart for these: the engine only counts them.
            .total_core_instances(u32::MAX)
            .max_core_instance_size(MAX_RECORDS_BYTES)
            .max_component_instance_size(MAX_RECORDS_BYTES)
            .total_memories(memories)
            .max_memories_per_module(self.memories_per_instance)
            .total_tables(all(self.tables_per_instance))
            .max_tables_per_module(self.tables_per_instance)
            .table_elements(usize::try_from(self.table_entries).unwrap_or(usize::MAX))
            .total_stacks(all(stacks_per_instance(concurrency)))
            // There is one guest: a place that it left is always the best one for it.
            .max_unused_warm_slots(memories)
            .linear_memory_keep_resident(MEMORY_KEPT_BYTES)
            .table_keep_resident(TABLE_KEPT_BYTES)
            // Where the kernel can tell which pages were touched, only those are cleared.
            .pagemap_scan(Enabled::Auto);
        pool
    }
}

/// A store keeps its stack after a call. With concurrency a task that waits inside a call keeps a stack of its own.
fn stacks_per_instance(concurrency: Concurrency) -> u32 {
    match concurrency {
        Concurrency::On => 2,
        Concurrency::Off => 1,
    }
}

/// `instances/memories/tables/entries`, the form in which settings carry it.
impl fmt::Display for PoolSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PoolSize { instances, memories_per_instance, tables_per_instance, table_entries } = self;
        write!(f, "{instances}/{memories_per_instance}/{tables_per_instance}/{table_entries}")
    }
}

/// Text that is no [`PoolSize`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the size of a pool: instances/memories/tables/entries")]
pub struct ParsePoolSizeError;

impl FromStr for PoolSize {
    type Err = ParsePoolSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let count = |part: &str| part.parse().map_err(|_not_a_number| ParsePoolSizeError);
        let [instances, memories, tables, entries] = text.split('/').collect::<Vec<_>>()[..] else {
            return Err(ParsePoolSizeError);
        };
        let size = PoolSize {
            instances: count(instances)?,
            memories_per_instance: count(memories)?,
            tables_per_instance: count(tables)?,
            table_entries: entries.parse().map_err(|_not_a_number| ParsePoolSizeError)?,
        };
        if size.instances == 0 { Err(ParsePoolSizeError) } else { Ok(size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Allocator, Engine, Settings};

    /// A component of Rust's standard library.
    const SMALL: Demand = Demand { memories: 1, tables: 2, table_entries: 100 };
    /// About Python's component.
    const LARGE: Demand = Demand { memories: 2, tables: 50, table_entries: 30_000 };
    /// What Linux begins with.
    const MAPPINGS: u64 = 65_530;

    #[test]
    fn a_pool_has_what_its_guest_needs() {
        let size = PoolSize::within(SMALL, 100, MAPPINGS).unwrap();
        let expected =
            PoolSize { instances: 100, memories_per_instance: 1, tables_per_instance: 2, table_entries: 20_000 };
        assert_eq!(size, expected);
        assert_eq!(PoolSize::within(LARGE, 1, MAPPINGS).unwrap().table_entries, 30_000);
        assert_eq!(PoolSize::within(SMALL, 0, MAPPINGS).unwrap().instances, 1);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_does() {
        for demand in [SMALL, LARGE, Demand::default()] {
            for mappings in [MAPPINGS, 1 << 40] {
                let refused = PoolSize::within(demand, u32::MAX, mappings).unwrap_err();
                assert_eq!(refused.wanted, u32::MAX);
                assert!(PoolSize::within(demand, refused.most, mappings).is_ok());
                assert!(PoolSize::within(demand, refused.most + 1, mappings).is_err());
            }
        }
        assert_eq!(PoolSize::within(SMALL, 100_000, MAPPINGS).unwrap_err().most, 8_776);
    }

    /// With the mappings out of the way, addresses are the limit, and the kernel really gives that many.
    #[test]
    fn the_largest_pool_can_be_built() {
        for demand in [SMALL, LARGE] {
            let most = PoolSize::within(demand, u32::MAX, MAPPINGS).unwrap_err().most;
            let size = PoolSize::within(demand, most, MAPPINGS).unwrap();
            let settings = Settings { allocator: Allocator::Pool(size), ..Settings::default() };
            assert!(Engine::new(&settings).is_ok(), "{size}");
        }
    }

    #[test]
    fn text_comes_back_as_it_was() {
        let size = PoolSize::within(LARGE, 7, MAPPINGS).unwrap();
        assert_eq!(size.to_string(), "7/2/50/30000");
        assert_eq!(size.to_string().parse(), Ok(size));
        for bad in ["", "7", "0/1/1/1", "1/2/3", "1/2/3/4/5", "1/2/3/x", "-1/1/1/1"] {
            assert_eq!(bad.parse::<PoolSize>(), Err(ParsePoolSizeError), "{bad}");
        }
    }
}
