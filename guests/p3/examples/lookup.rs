//! `lookup NAME...`: prints the addresses of each name, or why there are none.

use p3_guests::{Code, arguments, plain_ip};
use wasip3::exports::cli::run::Guest;
use wasip3::sockets::ip_name_lookup::resolve_addresses;

struct Lookup;

impl Guest for Lookup {
    async fn run() -> Result<(), ()> {
        let mut outcome = Ok(());
        for name in arguments() {
            match resolve_addresses(name.clone()).await {
                Ok(addresses) => {
                    let texts: Vec<String> = addresses.into_iter().map(|ip| plain_ip(ip).to_string()).collect();
                    println!("{name}: {}", texts.join(" "));
                }
                Err(error) => {
                    println!("{name}: {}", error.name());
                    outcome = Err(());
                }
            }
        }
        outcome
    }
}

wasip3::cli::command::export!(Lookup);
