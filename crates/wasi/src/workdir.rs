//! Decides where a guest's relative paths begin.
//!
//! WASI has no working directory that all guests heed. Three things together serve most of them:
//!
//! - `initial-cwd`, which WASI 0.2 and 0.3 define, for components that ask;
//! - `PWD`, which guests from Go and some interpreters read;
//! - the directory itself as a further volume `.`: wasi-libc (C, Rust, Python) begins at `/` and finds there whatever is
//!   mounted at `.`. This is left out if a volume is mounted at `/` or `.` already, because it would hide it.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use wasmtime_wasi::WasiCtxBuilder;

use crate::exit::RunError;
use crate::guest::{GuestSpec, Volume, add_volume};

/// The mount point that wasi-libc takes for where it begins.
const HERE: &str = ".";

/// Sets the working directory to `path`.
pub(crate) fn add(context: &mut WasiCtxBuilder, spec: &GuestSpec, path: &str) -> Result<(), RunError> {
    context.initial_cwd(path);
    if !spec.env.iter().any(|(name, _)| name == "PWD") {
        context.env("PWD", path);
    }
    let (volume, inside) = find(&spec.volumes, path).ok_or_else(|| RunError::WorkdirOutside { path: path.into() })?;
    let dir = open_inside(&volume.dir, inside)
        .map_err(|errno| RunError::Workdir { path: path.into(), error: errno.into() })?;
    if spec.volumes.iter().any(|volume| is_root(&volume.guest_path)) {
        return Ok(());
    }
    add_volume(context, &dir, HERE, volume.access)
}

fn is_root(guest_path: &str) -> bool {
    normal(guest_path).as_os_str().is_empty()
}

/// `/a/b/`, `./a/b` and `a/b` are the same place to wasi-libc.
fn normal(path: &str) -> &Path {
    let mut path = Path::new(path);
    while let Ok(rest) = path.strip_prefix("/").or_else(|_| path.strip_prefix(HERE)) {
        if rest == path {
            break;
        }
        path = rest;
    }
    path
}

/// The volume that holds `path`, the innermost of several, and the path inside it.
fn find<'a>(volumes: &'a [Volume], path: &'a str) -> Option<(&'a Volume, &'a Path)> {
    let path = normal(path);
    let holds = |volume: &'a Volume| Some((volume, path.strip_prefix(normal(&volume.guest_path)).ok()?));
    volumes.iter().filter_map(holds).min_by_key(|(_, inside)| inside.as_os_str().len())
}

/// Opens a directory that must not lie outside `dir`, not by `..` and not by a symbolic link that a guest may have left.
fn open_inside(dir: &OwnedFd, inside: &Path) -> rustix::io::Result<OwnedFd> {
    let inside = if inside.as_os_str().is_empty() { Path::new(HERE) } else { inside };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(dir, inside, flags, Mode::empty(), ResolveFlags::BENEATH)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::guest::Access;

    fn volumes(paths: &[&str]) -> Vec<Volume> {
        let volume = |path: &&str| Volume {
            dir: File::open("/").unwrap().into(),
            guest_path: (*path).to_owned(),
            access: Access::ReadWrite,
        };
        paths.iter().map(volume).collect()
    }

    #[test]
    fn the_innermost_volume_holds_a_path() {
        let volumes = volumes(&["/data", "/data/inner/", "./rel"]);
        let check = |path: &str, expected: Option<(&str, &str)>| {
            let found = find(&volumes, path).map(|(volume, inside)| (&*volume.guest_path, inside.to_str().unwrap()));
            assert_eq!(found, expected, "{path}");
        };
        check("/data", Some(("/data", "")));
        check("/data/x/y", Some(("/data", "x/y")));
        check("/data/inner/z", Some(("/data/inner/", "z")));
        check("rel/a", Some(("./rel", "a")));
        check("/database", None);
        check("/", None);
    }

    #[test]
    fn the_root_has_several_names() {
        for root in ["/", ".", "./", "", "//", "/."] {
            assert!(is_root(root), "{root:?}");
        }
        assert!(!is_root("/a"));
    }

    #[test]
    fn a_working_directory_cannot_be_outside_its_volume() {
        let outer = tempfile::tempdir().unwrap();
        let volume = outer.path().join("volume");
        std::fs::create_dir_all(volume.join("sub")).unwrap();
        std::os::unix::fs::symlink(outer.path(), volume.join("link")).unwrap();
        let dir: OwnedFd = File::open(&volume).unwrap().into();
        assert!(open_inside(&dir, Path::new("sub")).is_ok());
        assert!(open_inside(&dir, Path::new("")).is_ok());
        for outside in ["..", "sub/../..", "link"] {
            assert!(open_inside(&dir, Path::new(outside)).is_err(), "{outside}");
        }
    }
}
