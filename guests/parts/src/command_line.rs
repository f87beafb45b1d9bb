//! Understands what `fetch` is told.

/// What is to be fetched, and how.
#[derive(Debug)]
pub struct Wanted {
    /// `http` or `https`, or whatever stood there.
    pub scheme: Option<String>,
    /// Host and port.
    pub authority: Option<String>,
    /// Path and query.
    pub target: String,
    /// In capital letters.
    pub method: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body of the request.
    pub body: Option<String>,
    /// How often.
    pub repeat: u64,
    /// How long connecting may take.
    pub connect_nanoseconds: Option<u64>,
    /// How long the answer may take to begin.
    pub first_byte_nanoseconds: Option<u64>,
    /// How long it may pause.
    pub between_bytes_nanoseconds: Option<u64>,
}

impl Wanted {
    /// Reads the words after the program's name.
    #[must_use]
    pub fn parse(mut words: impl Iterator<Item = String>) -> Self {
        let mut wanted = Self::at(&words.next().expect("usage: fetch URL [FLAGS]..."));
        while let Some(flag) = words.next() {
            let value = words.next().unwrap_or_else(|| panic!("{flag} needs a value"));
            match flag.as_str() {
                "--header" => {
                    let (name, value) = value.split_once(':').expect("NAME:VALUE");
                    wanted.headers.push((name.to_string(), value.trim_start().to_string()));
                }
                "--method" => wanted.method = value,
                "--body" => wanted.body = Some(value),
                "--repeat" => wanted.repeat = number(&value),
                "--connect-ms" => wanted.connect_nanoseconds = Some(number(&value) * 1_000_000),
                "--first-byte-ms" => wanted.first_byte_nanoseconds = Some(number(&value) * 1_000_000),
                "--between-bytes-ms" => wanted.between_bytes_nanoseconds = Some(number(&value) * 1_000_000),
                other => panic!("no such flag: {other}"),
            }
        }
        wanted
    }

    /// A URL without a scheme stands for a request without one, and so on.
    fn at(url: &str) -> Self {
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_string()), rest),
            None => (None, url),
        };
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let target = if target.starts_with('/') { target.to_string() } else { format!("/{target}") };
        Self {
            scheme,
            authority: (!authority.is_empty()).then(|| authority.to_string()),
            target,
            method: "GET".to_string(),
            headers: Vec::new(),
            body: None,
            repeat: 1,
            connect_nanoseconds: None,
            first_byte_nanoseconds: None,
            between_bytes_nanoseconds: None,
        }
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}
