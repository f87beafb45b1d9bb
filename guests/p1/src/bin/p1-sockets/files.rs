//! Files beside sockets. The volume holds a file `f` that says `contents`.

use p1_guests::calls::{self, WRITING};
use p1_guests::poll::{Happened, Want, poll};
use p1_guests::report::Report;
use p1_guests::sockets::{self, STREAM, V4};

use crate::states::every_socket_call;
use crate::stream::pair;

pub(crate) fn check(report: &mut Report, volume: u32) {
    report.same("a volume", calls::prestat(volume).map(|length| length > 0), Ok(true));
    every_socket_call(report, volume, "NOTSOCK");
    let socket = sockets::socket(V4, STREAM).expect("a socket");
    let file = calls::open(volume, "f").expect("a file");
    report.same("numbers follow, whatever they are", file, socket + 1);
    every_socket_call(report, file, "NOTSOCK");
    report.same("read", calls::read(file, 64), Ok(b"contents".to_vec()));
    report.same("seek", calls::seek(file, 3), Ok(3));
    report.same("read again", calls::read(file, 64), Ok(b"tents".to_vec()));
    report.same("size", calls::file_status(file).map(|status| status.size), Ok(8));
    report.same("by its name", calls::size_of_path(volume, "f"), Ok(8));
    report.fails("no such file", calls::open(volume, "none"), "NOENT");
    polling(report, file);
    numbers(report, volume, file, socket);
}

fn polling(report: &mut Report, file: u32) {
    calls::seek(file, 6).expect("a position");
    let (near, far, _) = pair(V4, "127.0.0.1:0");
    report.same(
        "a file is ready, a socket is not",
        poll(&[Want::Read(far), Want::Read(file), Want::Write(file), Want::After(1, u64::MAX)]),
        Ok(vec![Happened::Ready(1, 2), Happened::Ready(2, 1)]),
    );
    calls::write(near, b"x").expect("written");
    report.same(
        "both are",
        poll(&[Want::Read(far), Want::Read(file)]),
        Ok(vec![Happened::Ready(0, 1), Happened::Ready(1, 2)]),
    );
    calls::read(file, 64).expect("read");
    report.same("a file at its end", poll(&[Want::Read(file)]), Ok(vec![Happened::HungUp(0)]));
    calls::close(near).and_then(|()| calls::close(far)).expect("closed");
}

fn numbers(report: &mut Report, volume: u32, file: u32, socket: u32) {
    report.ok("a file in a socket's place", calls::renumber(file, socket));
    report.fails("the file's number is free", calls::read(file, 1), "BADF");
    report.same("the file has the socket's", calls::seek(socket, 0), Ok(0));
    report.fails("which is no socket any more", calls::shutdown(socket, WRITING), "NOTSOCK");
    let (near, far, _) = pair(V4, "127.0.0.1:0");
    report.ok("a socket in a file's place", calls::renumber(near, socket));
    report.same("it can write", calls::write(socket, b"data"), Ok(4));
    report.same("which arrives", calls::read(far, 8), Ok(b"data".to_vec()));
    report.fails("and cannot seek", calls::seek(socket, 0), "SPIPE");
    let again = calls::open(volume, "f").expect("a file");
    report.same("the lowest number is next", again, near.min(file));
    report.same("the volume is as before", calls::read(again, 64), Ok(b"contents".to_vec()));
    report.ok("a socket in the place of input", calls::renumber(far, 0));
    report.same("which is input now", calls::write(socket, b"typed"), Ok(5));
    report.same("read as such", calls::read(0, 64), Ok(b"typed".to_vec()));
    report.ok("a file in the place of the volume", calls::renumber(again, volume));
    report.fails("which is no volume any more", calls::prestat(volume), "BADF");
    report.same("but a file", calls::file_status(volume).map(|status| status.size), Ok(8));
}
