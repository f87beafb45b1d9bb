//! What a test has put in place for the attacker: `key=value` pairs with `;` between.

use std::ffi::CString;
use std::net::SocketAddrV4;

/// Everything an attacker could know of the machine by other ways.
#[derive(Debug)]
pub(crate) struct Scene {
    /// A folder that is a volume, to be written in.
    rw: String,
    /// A folder that is a volume, not to be written in.
    ro: String,
    /// A folder that is no volume, with the same owner. All three lie in one folder.
    outside: String,
    /// What the file `secret` in `outside` says.
    pub(crate) secret: String,
    /// The process that started the runner, of the same user.
    pub(crate) parent: i32,
    /// Where readable memory begins in it: what lies there is the begin of an ELF file.
    pub(crate) readable: usize,
    /// Where writable memory begins in it.
    pub(crate) writable: usize,
    /// A Unix stream socket that listens.
    pub(crate) unix: String,
    /// A Unix datagram socket.
    pub(crate) unix_datagram: String,
    /// The abstract name of a Unix stream socket that listens.
    pub(crate) abstract_name: String,
    /// The abstract name of a Unix datagram socket.
    pub(crate) abstract_datagram: String,
    /// A TCP listener of this machine.
    pub(crate) tcp: SocketAddrV4,
    /// A number at which a descriptor of `outside/secret` was left open.
    pub(crate) leaked: i32,
    /// A number at which a descriptor of the folder `outside` was left open.
    pub(crate) leaked_folder: i32,
    /// A program that is setuid root.
    setuid: String,
}

impl Scene {
    /// The scene, if nothing is missing.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(name, _)| *name == key).map(|(_, value)| value.to_string()).next_back()
        };
        let address = |key: &str| usize::from_str_radix(&value(key)?, 16).ok();
        Some(Self {
            rw: value("rw")?,
            ro: value("ro")?,
            outside: value("outside")?,
            secret: value("secret")?,
            parent: value("parent")?.parse().ok()?,
            readable: address("readable")?,
            writable: address("writable")?,
            unix: value("unix")?,
            unix_datagram: value("unix-datagram")?,
            abstract_name: value("abstract")?,
            abstract_datagram: value("abstract-datagram")?,
            tcp: value("tcp")?.parse().ok()?,
            leaked: value("leaked")?.parse().ok()?,
            leaked_folder: value("leaked-folder")?.parse().ok()?,
            setuid: value("setuid")?,
        })
    }

    /// A path in the writable volume.
    pub(crate) fn rw(&self, name: &str) -> CString {
        path(&self.rw, name)
    }

    /// A path in the read-only volume.
    pub(crate) fn ro(&self, name: &str) -> CString {
        path(&self.ro, name)
    }

    /// A path outside of the volumes.
    pub(crate) fn outside(&self, name: &str) -> CString {
        path(&self.outside, name)
    }

    /// The setuid program.
    pub(crate) fn setuid(&self) -> CString {
        text(&self.setuid)
    }

    /// A file of the parent in `/proc`.
    pub(crate) fn of_parent(&self, name: &str) -> CString {
        text(&format!("/proc/{}/{name}", self.parent))
    }
}

fn path(folder: &str, name: &str) -> CString {
    text(&format!("{folder}/{name}"))
}

/// A string as the kernel takes it. A variable of the environment holds no NUL, so nothing is cut off.
pub(crate) fn text(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Scene;

    const WHOLE: &str = "rw=/a/rw;ro=/a/ro;outside=/a/outside;secret=s;readable=55aa;writable=66bb;unix=/u;\
                         unix-datagram=/d;abstract=n;abstract-datagram=m;tcp=127.0.0.1:9;leaked=9;leaked-folder=8;\
                         setuid=/bin/su;parent=1;parent=77";

    #[test]
    fn a_whole_scene_is_understood_and_the_last_of_two_values_holds() {
        let scene = Scene::parse(WHOLE).unwrap();
        assert_eq!((scene.parent, scene.readable, scene.leaked_folder), (77, 0x55aa, 8));
        assert_eq!(scene.ro("file").as_c_str(), c"/a/ro/file");
        assert_eq!(scene.of_parent("mem").as_c_str(), c"/proc/77/mem");
    }

    #[test]
    fn a_scene_with_anything_missing_is_none() {
        for pair in WHOLE.split(';').filter(|pair| !pair.starts_with("parent")) {
            assert!(Scene::parse(&WHOLE.replace(pair, "")).is_none(), "{pair}");
        }
    }
}
