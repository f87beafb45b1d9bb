//! Shows what a guest was given: arguments, environment, and the files it can see.
//!
//! Without arguments that start with `@` it prints, one per line and sorted where order means nothing,
//! `arg I VALUE`, `env KEY=VALUE`, `cwd PATH` and `entry NAME` for each name in the working directory.
//! Arguments that start with `@` are done in order after that, one line of answer each:
//! `@read PATH`, `@write PATH TEXT`, `@list PATH`, `@remove PATH`, `@rename FROM TO`, `@link FROM TO`.

use std::env;
use std::fs;
use std::io;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let plain = arguments.iter().position(|argument| argument.starts_with('@')).unwrap_or(arguments.len());
    show(&arguments[..plain]);
    let mut rest = arguments[plain..].iter().map(String::as_str);
    let mut failed = false;
    while let Some(action) = rest.next() {
        let mut next = || rest.next().unwrap_or_else(|| panic!("{action} needs another argument"));
        let answer = match action {
            "@read" => fs::read_to_string(next()),
            "@write" => fs::write(next(), next()).map(|()| String::new()),
            "@list" => names(next()).map(|names| names.join(" ")),
            "@remove" => fs::remove_file(next()).map(|()| String::new()),
            "@rename" => fs::rename(next(), next()).map(|()| String::new()),
            "@link" => fs::hard_link(next(), next()).map(|()| String::new()),
            other => panic!("no such action: {other}"),
        };
        match answer {
            Ok(text) => println!("{} ok {}", &action[1..], text.trim_end()),
            Err(error) => {
                failed = true;
                println!("{} failed {:?}", &action[1..], error.kind());
            }
        }
    }
    std::process::exit(i32::from(failed));
}

fn show(arguments: &[String]) {
    for (index, argument) in arguments.iter().enumerate() {
        println!("arg {index} {argument}");
    }
    let mut variables: Vec<_> = env::vars().collect();
    variables.sort();
    for (key, value) in variables {
        println!("env {key}={value}");
    }
    match env::current_dir() {
        Ok(path) => println!("cwd {}", path.display()),
        Err(error) => println!("cwd failed {:?}", error.kind()),
    }
    for name in names(".").unwrap_or_default() {
        println!("entry {name}");
    }
}

/// The names in a folder, sorted.
fn names(path: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
