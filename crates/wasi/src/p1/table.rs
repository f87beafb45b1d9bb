//! Decides which number a guest knows each of its descriptors by.
//!
//! Files and standard streams live in wasmtime-wasi's own table, whose numbers a guest never sees; sockets live here. A
//! new descriptor gets the lowest number that is free, as POSIX has it.

use std::collections::BTreeMap;

use wasmtime_wasi::p1::types::Errno;

use crate::descriptors::{Right, Share};
use crate::p1::socket::Socket;

/// A descriptor of a guest.
#[derive(Debug)]
pub(super) enum Entry<S> {
    /// A standard stream, by its number in wasmtime-wasi's table.
    Stream(u32),
    /// A file or directory, by its number in wasmtime-wasi's table. A volume was there before the guest.
    File(u32, Option<Right>),
    /// A socket.
    Socket(S),
}

/// The descriptors of one guest.
#[derive(Debug)]
pub(super) struct Table<S = Box<Socket>> {
    entries: BTreeMap<u32, Entry<S>>,
    /// No number below it is free.
    lowest: u32,
    /// Most files that may be open besides the volumes.
    max_files: usize,
    open_files: usize,
    /// Where the files' descriptors come from.
    share: Share,
}

impl<S> Table<S> {
    /// The standard streams, and `volumes` directories behind them, as wasmtime-wasi numbers them.
    pub(super) fn new(volumes: u32, max_files: usize, share: Share) -> Table<S> {
        let streams = (0..3).map(|number| (number, Entry::Stream(number)));
        let directories = (3..3 + volumes).map(|number| (number, Entry::File(number, None)));
        let entries = streams.chain(directories).collect();
        Table { entries, lowest: 3 + volumes, max_files, open_files: 0, share }
    }

    /// The right to open one more file.
    ///
    /// # Errors
    ///
    /// `EMFILE`: as many are open as may be.
    pub(super) fn room_for_file(&self) -> Result<Right, Errno> {
        if self.open_files >= self.max_files {
            return Err(Errno::Mfile);
        }
        self.share.take().ok_or(Errno::Mfile)
    }

    /// Adds a file that was opened with that right.
    pub(super) fn add_file(&mut self, theirs: u32, right: Right) -> Result<u32, Errno> {
        let number = self.add(Entry::File(theirs, Some(right)))?;
        self.open_files += 1;
        Ok(number)
    }

    /// Adds a descriptor under the lowest free number.
    ///
    /// # Errors
    ///
    /// All four thousand million numbers are taken.
    pub(super) fn add(&mut self, entry: Entry<S>) -> Result<u32, Errno> {
        let mut number = self.lowest;
        for taken in self.entries.range(number..).map(|(taken, _)| *taken) {
            if taken != number {
                break;
            }
            number = taken.checked_add(1).ok_or(Errno::Mfile)?;
        }
        self.entries.insert(number, entry);
        self.lowest = number.saturating_add(1);
        Ok(number)
    }

    /// The descriptor of that number.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(super) fn get(&self, number: u32) -> Result<&Entry<S>, Errno> {
        self.entries.get(&number).ok_or(Errno::Badf)
    }

    /// A socket, to work with.
    ///
    /// # Errors
    ///
    /// There is no such descriptor, or it is no socket.
    pub(super) fn socket(&mut self, number: u32) -> Result<&mut S, Errno> {
        match self.entries.get_mut(&number).ok_or(Errno::Badf)? {
            Entry::Socket(socket) => Ok(socket),
            Entry::Stream(_) | Entry::File(..) => Err(Errno::Notsock),
        }
    }

    /// Takes a descriptor out; its number is free.
    pub(super) fn remove(&mut self, number: u32) -> Option<Entry<S>> {
        let entry = self.take(number)?;
        if let Entry::File(_, Some(_)) = entry {
            self.open_files -= 1;
        }
        Some(entry)
    }

    fn take(&mut self, number: u32) -> Option<Entry<S>> {
        let entry = self.entries.remove(&number)?;
        self.lowest = self.lowest.min(number);
        Some(entry)
    }

    /// Puts a descriptor under another number and returns the one that had it.
    ///
    /// # Errors
    ///
    /// One of the numbers is free.
    pub(super) fn renumber(&mut self, from: u32, to: u32) -> Result<Option<Entry<S>>, Errno> {
        if !self.entries.contains_key(&from) || !self.entries.contains_key(&to) {
            return Err(Errno::Badf);
        }
        if from == to {
            return Ok(None);
        }
        let replaced = self.remove(to);
        let moved = self.take(from).ok_or(Errno::Badf)?;
        self.entries.insert(to, moved);
        // `to` looked free for a moment, and nothing below it is.
        while self.entries.contains_key(&self.lowest) {
            self.lowest = self.lowest.saturating_add(1);
        }
        Ok(replaced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptors::Descriptors;

    fn table(volumes: u32) -> Table<&'static str> {
        Table::new(volumes, 2, Descriptors::new(100).share())
    }

    fn name(table: &Table<&'static str>, number: u32) -> String {
        match table.get(number) {
            Ok(Entry::Stream(theirs)) => format!("stream {theirs}"),
            Ok(Entry::File(theirs, _)) => format!("file {theirs}"),
            Ok(Entry::Socket(name)) => (*name).to_owned(),
            Err(errno) => errno.to_string(),
        }
    }

    #[test]
    fn volumes_come_first() {
        let mut table = table(2);
        assert_eq!(table.add(Entry::Socket("a")), Ok(5));
        let names: Vec<String> = (0..6).map(|number| name(&table, number)).collect();
        assert_eq!(names, ["stream 0", "stream 1", "stream 2", "file 3", "file 4", "a"]);
        assert!(matches!(table.get(6), Err(Errno::Badf)));
        assert!(matches!(table.get(u32::MAX), Err(Errno::Badf)));
    }

    #[test]
    fn the_lowest_free_number_is_next() {
        let mut table = table(0);
        for expected in 3..8 {
            assert_eq!(table.add(Entry::Socket("x")), Ok(expected));
        }
        for closed in [6, 0, 4] {
            assert!(table.remove(closed).is_some());
            assert!(table.remove(closed).is_none());
        }
        for expected in [0, 4, 6, 8] {
            assert_eq!(table.add(Entry::File(9, None)), Ok(expected));
        }
    }

    #[test]
    fn so_many_files_can_be_open_and_no_more() {
        let mut table = table(2);
        let open = |table: &mut Table<&'static str>| {
            let right = table.room_for_file()?;
            table.add_file(9, right)
        };
        let (first, second) = (open(&mut table).unwrap(), open(&mut table).unwrap());
        assert_eq!(open(&mut table), Err(Errno::Mfile));
        // Sockets and volumes are counted elsewhere.
        let socket = table.add(Entry::Socket("a")).unwrap();
        assert!(table.remove(socket).is_some() && table.remove(3).is_some());
        assert_eq!(open(&mut table), Err(Errno::Mfile));
        // What is renumbered is open still, what it replaces is not.
        assert!(matches!(table.renumber(first, second), Ok(Some(Entry::File(9, Some(_))))));
        assert!(open(&mut table).is_ok());
        assert_eq!(open(&mut table), Err(Errno::Mfile));
        // Others have all descriptors.
        let mut poor = Table::<&'static str>::new(0, 2, Descriptors::new(1).share());
        assert!(open(&mut poor).is_ok());
        assert_eq!(open(&mut poor), Err(Errno::Mfile));
    }

    #[test]
    fn sockets_are_told_from_files() {
        let mut table = table(1);
        let number = table.add(Entry::Socket("a")).unwrap();
        assert_eq!(table.socket(number), Ok(&mut "a"));
        for file in [0, 1, 2, 3] {
            assert_eq!(table.socket(file), Err(Errno::Notsock));
        }
        assert_eq!(table.socket(number + 1), Err(Errno::Badf));
    }

    #[test]
    fn renumbering_replaces() {
        let mut table = table(0);
        let first = table.add(Entry::Socket("first")).unwrap();
        let second = table.add(Entry::Socket("second")).unwrap();
        let third = table.add(Entry::File(3, None)).unwrap();
        assert!(matches!(table.renumber(first, 9), Err(Errno::Badf)));
        assert!(matches!(table.renumber(9, first), Err(Errno::Badf)));
        assert!(matches!(table.renumber(first, first), Ok(None)));
        assert!(matches!(table.renumber(second, first), Ok(Some(Entry::Socket("first")))));
        assert_eq!(name(&table, first), "second");
        assert!(matches!(table.get(second), Err(Errno::Badf)));
        // The number that became free is the next one, and the one that was replaced is not.
        assert_eq!(table.add(Entry::Socket("new")), Ok(second));
        assert!(matches!(table.renumber(first, third), Ok(Some(Entry::File(3, None)))));
        assert_eq!(name(&table, third), "second");
        assert_eq!(table.add(Entry::Socket("again")), Ok(first));
        assert_eq!(table.add(Entry::Socket("last")), Ok(third + 1));
        assert!(matches!(table.renumber(first, 1), Ok(Some(Entry::Stream(1)))));
        assert_eq!(name(&table, 1), "again");
    }

    /// The same in the plainest way: what is under each number, and whether it counts as an open file.
    type Model = BTreeMap<u32, (String, bool)>;

    /// One step that a guest may take, by a random number.
    fn step(random: u64, table: &mut Table<&'static str>, model: &mut Model) {
        let number = |shift: u32| u32::try_from(random >> shift & 15).unwrap();
        let lowest = (0..).find(|number| !model.contains_key(number)).unwrap();
        let open = model.values().filter(|(_, is_open)| *is_open).count();
        let (one, other) = (number(8), number(16));
        match random % 6 {
            0 => {
                assert_eq!(table.add(Entry::Socket("socket")), Ok(lowest));
                model.insert(lowest, ("socket".to_owned(), false));
            }
            1 | 2 => match table.room_for_file() {
                Ok(right) => {
                    assert!(open < 2);
                    assert_eq!(table.add_file(one, right), Ok(lowest));
                    model.insert(lowest, (format!("file {one}"), true));
                }
                Err(errno) => assert_eq!((errno, open), (Errno::Mfile, 2)),
            },
            3 | 4 => assert_eq!(table.remove(one).is_some(), model.remove(&one).is_some()),
            _ => match (model.contains_key(&one), model.contains_key(&other)) {
                (true, true) if one == other => assert!(matches!(table.renumber(one, other), Ok(None))),
                (true, true) => {
                    assert!(matches!(table.renumber(one, other), Ok(Some(_))));
                    let moved = model.remove(&one).unwrap();
                    model.insert(other, moved);
                }
                _ => assert!(matches!(table.renumber(one, other), Err(Errno::Badf))),
            },
        }
    }

    #[test]
    fn whatever_a_guest_does_each_number_has_what_was_put_there() {
        // Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014.
        let mut state = 0_u64;
        let mut random = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ mixed >> 31
        };
        for volumes in 0..6 {
            let descriptors = Descriptors::new(100);
            let mut table = Table::new(volumes, 2, descriptors.share());
            let mut model: Model = (0..3).map(|number| (number, (format!("stream {number}"), false))).collect();
            model.extend((3..3 + volumes).map(|number| (number, (format!("file {number}"), false))));
            for _ in 0..20_000 {
                step(random(), &mut table, &mut model);
                for number in 0..20 {
                    let there = model.get(&number).map_or_else(|| Errno::Badf.to_string(), |(name, _)| name.clone());
                    assert_eq!(name(&table, number), there, "{number}");
                }
            }
            // Nothing that was taken for a file is lost.
            drop(table);
            let share = descriptors.share();
            assert_eq!(std::iter::from_fn(|| share.take()).collect::<Vec<_>>().len(), 50);
        }
    }
}
