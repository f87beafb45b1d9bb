//! A table whose rows keep their number: the smallest such thing, for rows that are looked up on every decision.

use alloc::vec::Vec;

#[derive(Debug)]
pub(crate) struct Slab<T> {
    rows: Vec<Option<T>>,
    /// The numbers of empty rows.
    free: Vec<usize>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { rows: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn insert(&mut self, row: T) -> usize {
        let number = self.free.pop().unwrap_or(self.rows.len());
        match self.rows.get_mut(number) {
            Some(empty) => *empty = Some(row),
            None => self.rows.push(Some(row)),
        }
        number
    }

    pub(crate) fn remove(&mut self, number: usize) -> Option<T> {
        let row = self.rows.get_mut(number)?.take()?;
        self.free.push(number);
        Some(row)
    }

    pub(crate) fn get(&self, number: usize) -> Option<&T> {
        self.rows.get(number)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.rows.get_mut(number)?.as_mut()
    }

    /// One more than the largest number in use so far.
    pub(crate) fn end(&self) -> usize {
        self.rows.len()
    }

    /// The rows in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.rows.iter().enumerate().filter_map(|(number, row)| row.as_ref().map(|row| (number, row)))
    }
}
