//! Clients of HTTP servers: curl as anybody would use it, and bytes that no good client sends.

use crate::process::{Outcome, Running};
use crate::published::connect;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

/// What has not come after so many seconds never comes: a test fails instead of hanging.
const PATIENCE_SECONDS: &str = "100";

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The version of HTTP, as curl writes it: `1.1`, `2`.
    pub version: String,
    /// All heads that came, the last one last: status lines and fields, one a line.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a field. Names are compared without regard to capitals.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut found = pairs.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        found.next_back().map(|(_, value)| value.trim())
    }

    /// Expects this status and this body.
    #[track_caller]
    pub fn expect(&self, status: u16, body: &str) -> &Self {
        assert_eq!((self.status, &*self.text()), (status, body), "{}", self.head);
        self
    }

    /// Expects this status, and that nothing about the inside of the guest or the host is told.
    #[track_caller]
    pub fn expect_nothing_of_the_inside(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{self:?}");
        let told = format!("{}{}", self.head, self.text()).to_lowercase();
        for word in ["trap", "wasm", "unreachable", "instance", "guest", "inside", "panick", ".rs", "backtrace", "cord"]
        {
            assert!(!told.contains(word), "{word:?} is told: {told}");
        }
        self
    }
}

/// Asks with curl, which gets these words; the last one is the URL. Fails if curl does.
#[must_use]
#[track_caller]
pub fn curl(words: &[&str]) -> Answer {
    let (outcome, answer) = try_curl(words);
    assert!(outcome.status.success(), "curl {words:?}: {outcome:#?}");
    answer
}

/// Asks with curl, and tells how curl ended and what it got until then.
#[must_use]
#[track_caller]
pub fn try_curl(words: &[&str]) -> (Outcome, Answer) {
    let folder = tempfile::tempdir().unwrap();
    let (head, body) = (folder.path().join("head"), folder.path().join("body"));
    let mut curl = curl_command(words);
    curl.arg("-D").arg(&head).arg("-o").arg(&body).args(["-w", "%{http_code} %{http_version}"]);
    let outcome = Running::start(&mut curl).wait();
    let told = outcome.text();
    let (status, version) = told.split_once(' ').unwrap_or_else(|| panic!("curl {words:?}: {outcome:#?}"));
    let answer = Answer {
        status: status.parse().unwrap(),
        version: version.to_owned(),
        head: String::from_utf8_lossy(&fs::read(&head).unwrap_or_default()).replace('\r', ""),
        // Of `--head` curl shows the head in the place of the body.
        body: if words.contains(&"--head") { Vec::new() } else { fs::read(&body).unwrap_or_default() },
    };
    (outcome, answer)
}

/// Asks with curl, and comes back while curl is at work.
#[must_use]
pub fn start_curl(words: &[&str]) -> Running {
    Running::start(&mut curl_command(words))
}

fn curl_command(words: &[&str]) -> Command {
    let mut curl = Command::new("curl");
    // No file of the user's own changes what is asked.
    curl.args(["--disable", "--globoff", "--silent", "--show-error", "--max-time", PATIENCE_SECONDS]).args(words);
    curl.env("no_proxy", "*").stdin(Stdio::null()).stderr(Stdio::piped());
    curl
}

/// Sends these bytes, and tells all that comes until the server closes.
#[must_use]
pub fn raw(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = connect(address);
    // A server that has heard enough answers and closes before it has read everything.
    let _ = stream.write_all(bytes.as_ref());
    read_rest(&mut stream)
}

/// All that comes until the server closes, or breaks off.
#[must_use]
pub fn read_rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut chunk = [0; 16 * 1024];
    while let Ok(length) = stream.read(&mut chunk)
        && length > 0
    {
        answer.extend_from_slice(&chunk[..length]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads up to the empty line behind a head, and not a byte more.
#[must_use]
pub fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        let length = stream.read(&mut byte).unwrap_or_else(|error| panic!("{error} after {head:?}"));
        assert!(length == 1, "it ended after {:?}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// An authority of a test's own, and what it has signed.
#[derive(Debug)]
pub struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    /// Makes one.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let configuration = "[req]\ndistinguished_name=name\n[name]\n[ca]\nbasicConstraints=critical,CA:TRUE\n\
                             keyUsage=critical,keyCertSign\n";
        fs::write(folder.path().join("openssl.cnf"), configuration).unwrap();
        let authority = Self { folder };
        let request = ["req", "-x509", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        let names = ["-subj", "/CN=an authority for tests", "-extensions", "ca", "-days", "2"];
        authority.openssl(&[&request[..], &names, &["-keyout", "ca.key", "-out", "ca.pem"]].concat());
        authority
    }

    /// The certificate by which clients know it (PEM).
    #[must_use]
    pub fn certificate(&self) -> String {
        self.path("ca.pem")
    }

    /// Makes and signs a certificate, for names as `DNS:localhost,IP:127.0.0.1`. The files of it and of its key (PEM).
    #[must_use]
    pub fn sign(&self, file: &str, names: &str) -> (String, String) {
        let (key, request, certificate) = (format!("{file}.key"), format!("{file}.csr"), format!("{file}.pem"));
        let extensions = format!("subjectAltName={names}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n");
        fs::write(self.folder.path().join("extensions"), extensions).unwrap();
        let kind = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        self.openssl(&[&kind[..], &["-subj", "/CN=a test", "-keyout", &key, "-out", &request]].concat());
        let signed_by =
            ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "extensions"];
        self.openssl(&[&["x509", "-req", "-in", &request, "-out", &certificate][..], &signed_by].concat());
        (self.path(&certificate), self.path(&key))
    }

    fn path(&self, file: &str) -> String {
        self.folder.path().join(file).to_string_lossy().into_owned()
    }

    fn openssl(&self, words: &[&str]) {
        let mut openssl = Command::new("openssl");
        openssl.args(words).current_dir(self.folder.path()).env("OPENSSL_CONF", Path::new("openssl.cnf"));
        let ran = openssl.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output();
        let ran = ran.unwrap_or_else(|error| panic!("no openssl ({error}): run `cargo xtask test`, which brings it"));
        assert!(ran.status.success(), "openssl {words:?}: {}", String::from_utf8_lossy(&ran.stderr));
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
