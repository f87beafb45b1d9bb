//! The buffers that a guest names: pieces of its memory, filled or read in order.
//!
//! Every piece is checked against the guest's memory when it is used; a piece outside of it ends the guest, as every
//! bad pointer of preview 1 does.

use std::borrow::Cow;

use wasmtime_wasi::p1::types::{CiovecArray, Errno, Error, IovecArray};
use wiggle::{GuestMemory, GuestPtr};

/// As many pieces as Linux takes in one call.
const MAX_PIECES: usize = 1024;

/// Pieces of a guest's memory.
#[derive(Debug)]
pub(super) struct Pieces(Vec<GuestPtr<[u8]>>);

impl Pieces {
    /// The pieces to fill.
    pub(super) fn to_fill(memory: &GuestMemory<'_>, array: IovecArray) -> Result<Pieces, Error> {
        Pieces::gather(array.iter().map(|pointer| {
            let piece = memory.read(pointer?)?;
            Ok(piece.buf.as_array(piece.buf_len))
        }))
    }

    /// The pieces to read.
    pub(super) fn to_read(memory: &GuestMemory<'_>, array: CiovecArray) -> Result<Pieces, Error> {
        Pieces::gather(array.iter().map(|pointer| {
            let piece = memory.read(pointer?)?;
            Ok(piece.buf.as_array(piece.buf_len))
        }))
    }

    fn gather(pieces: impl ExactSizeIterator<Item = Result<GuestPtr<[u8]>, Error>>) -> Result<Pieces, Error> {
        if pieces.len() > MAX_PIECES {
            return Err(Errno::Inval.into());
        }
        pieces.filter(|piece| !matches!(piece, Ok(piece) if piece.len() == 0)).collect::<Result<_, _>>().map(Pieces)
    }

    /// How many bytes they hold together.
    pub(super) fn len(&self) -> usize {
        // At most as many as `MAX_PIECES` memories hold, far below the limit of 64 bits.
        self.0.iter().map(|piece| piece.len() as usize).sum()
    }

    /// What the guest wrote into them: all of a single piece, which is not copied; of several the first `max` bytes.
    pub(super) fn read<'m>(&self, memory: &'m GuestMemory<'_>, max: usize) -> Result<Cow<'m, [u8]>, Error> {
        if let [only] = &self.0[..] {
            return Ok(memory.as_cow(*only)?);
        }
        let mut data = Vec::with_capacity(self.len().min(max));
        for piece in &self.0 {
            let wanted = u32::try_from(max - data.len()).unwrap_or(u32::MAX).min(piece.len());
            data.extend_from_slice(&memory.as_cow(part(*piece, 0, wanted)?)?);
        }
        Ok(Cow::Owned(data))
    }

    /// Puts `data` into them, `skip` bytes behind the beginning, and says how much had room.
    pub(super) fn fill(&self, memory: &mut GuestMemory<'_>, mut skip: usize, data: &[u8]) -> Result<usize, Error> {
        let mut rest = data;
        for piece in &self.0 {
            let length = piece.len() as usize;
            let room = length.saturating_sub(skip).min(rest.len());
            if room > 0 {
                let (now, later) = rest.split_at(room);
                memory.copy_from_slice(now, part(*piece, small(skip)?, small(skip + room)?)?)?;
                rest = later;
            }
            skip = skip.saturating_sub(length);
        }
        Ok(data.len() - rest.len())
    }

    /// The first piece itself, to be filled without a copy. `None`: there is none, or other threads see it.
    pub(super) fn first<'m>(&self, memory: &'m mut GuestMemory<'_>) -> Result<Option<&'m mut [u8]>, Error> {
        match self.0.first() {
            Some(first) => Ok(memory.as_slice_mut(*first)?),
            None => Ok(None),
        }
    }
}

fn part(piece: GuestPtr<[u8]>, start: u32, end: u32) -> Result<GuestPtr<[u8]>, Errno> {
    piece.get_range(start..end).ok_or(Errno::Fault)
}

fn small(length: usize) -> Result<u32, Errno> {
    u32::try_from(length).map_err(|_too_large| Errno::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A memory whose first bytes are a list of pieces.
    fn memory(pieces: &[(u32, u32)]) -> Vec<u8> {
        let mut bytes: Vec<u8> =
            pieces.iter().flat_map(|(start, length)| [start.to_le_bytes(), length.to_le_bytes()].concat()).collect();
        bytes.resize(256, b'.');
        bytes
    }

    fn filled(pieces: &[(u32, u32)], skip: usize, data: &[u8]) -> (usize, String) {
        let mut bytes = memory(pieces);
        let mut memory = GuestMemory::Unshared(&mut bytes);
        let array = GuestPtr::new((0, pieces.len() as u32));
        let found = Pieces::to_fill(&memory, array).unwrap();
        let count = found.fill(&mut memory, skip, data).unwrap();
        (count, String::from_utf8(bytes[100..110].to_vec()).unwrap())
    }

    #[test]
    fn data_fills_piece_after_piece() {
        assert_eq!(filled(&[(100, 3), (0, 0), (105, 2)], 0, b"abcdefg"), (5, "abc..de...".to_owned()));
        assert_eq!(filled(&[(100, 3), (105, 2)], 0, b"ab"), (2, "ab........".to_owned()));
        assert_eq!(filled(&[(100, 3), (105, 2)], 2, b"yz"), (2, "..y..z....".to_owned()));
        assert_eq!(filled(&[(100, 3), (105, 2)], 4, b"yz"), (1, "......y...".to_owned()));
        assert_eq!(filled(&[(100, 3)], 9, b"yz"), (0, "..........".to_owned()));
        assert_eq!(filled(&[], 0, b"yz"), (0, "..........".to_owned()));
    }

    #[test]
    fn data_is_read_from_piece_after_piece() {
        let check = |pieces: &[(u32, u32)], max: usize, expected: &str| {
            let mut bytes = memory(pieces);
            bytes[100..110].copy_from_slice(b"0123456789");
            let memory = GuestMemory::Unshared(&mut bytes);
            let pieces = Pieces::to_read(&memory, GuestPtr::new((0, pieces.len() as u32))).unwrap();
            assert_eq!(pieces.read(&memory, max).unwrap(), expected.as_bytes());
        };
        check(&[(100, 10)], 4, "0123456789");
        check(&[(105, 2), (100, 0), (100, 3)], 100, "56012");
        check(&[(105, 2), (100, 3)], 3, "560");
        check(&[], 3, "");
    }

    #[test]
    fn what_is_outside_the_memory_is_refused() {
        for piece in [(250, 7), (256, 1), (u32::MAX, 1), (1, u32::MAX)] {
            let mut bytes = memory(&[piece]);
            let mut memory = GuestMemory::Unshared(&mut bytes);
            let pieces = Pieces::to_fill(&memory, GuestPtr::new((0, 1))).unwrap();
            assert!(pieces.read(&memory, usize::MAX).is_err(), "{piece:?}");
            assert!(pieces.first(&mut memory).is_err(), "{piece:?}");
            assert!(pieces.fill(&mut memory, 0, &[0; 256]).is_err(), "{piece:?}");
        }
        let mut bytes = memory(&[]);
        let memory = GuestMemory::Unshared(&mut bytes);
        assert!(Pieces::to_fill(&memory, GuestPtr::new((200, 100))).is_err());
        let many = Pieces::to_fill(&memory, GuestPtr::new((0, 1025))).unwrap_err();
        assert_eq!(many.downcast().unwrap(), Errno::Inval);
    }
}
