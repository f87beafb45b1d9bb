//! A decision of the switchboard among many targets: the judgement of the capability and the choice of the directory, for a
//! request by a handle with labels of its own and a layer of grants, as a guest has.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to report")]

use capability::{Capability, Constraint, Grant, Labels, Pattern, Right, Rights, right};
use std::hint::black_box;
use std::time::Duration;
use switchboard_core::Directory;

/// What the other targets of a directory are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// They have the keys of the request, and other values.
    Exact,
    /// They and the wanted one have two keys that the request lacks.
    LackingTwoKeys,
    /// Each is of another network and has a reserved label that the request lacks: none can match.
    CannotMatch,
    /// They are replicas of the wanted one.
    Replicas,
    /// They have a hundred different sets of keys.
    HundredKeySets,
}

impl Others {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Exact, Self::LackingTwoKeys, Self::CannotMatch, Self::Replicas, Self::HundredKeySets];

    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "other values",
            Self::LackingTwoKeys => "two keys more",
            Self::CannotMatch => "cannot match",
            Self::Replicas => "replicas",
            Self::HundredKeySets => "100 sets of keys",
        }
    }

    fn labels(self, number: u32) -> Labels {
        let name = format!("s{number}");
        match self {
            Self::Exact => service(&name),
            Self::LackingTwoKeys => with_color(&name, number),
            Self::CannotMatch => {
                let (network, port) = (format!("n{number}"), (number % 65_535 + 1).to_string());
                labels(&[("network", &network), ("server_hostname", "wanted"), ("server_port", &port)])
            }
            Self::Replicas => service("wanted"),
            Self::HundredKeySets => {
                let key = format!("key{}", number % 100);
                labels(&[("network", "shop"), ("server_hostname", &name), (&key, "1")])
            }
        }
    }
}

/// A request that is decided again and again.
#[derive(Debug)]
pub struct Decision {
    guest: Capability,
    request: Labels,
    directory: Directory,
}

impl Decision {
    /// A request for one of so many targets, by a guest of the application `shop`, which may connect to every service of it.
    ///
    /// # Panics
    /// If the switchboard's core does not take what this sets up.
    #[must_use]
    pub fn among(others: Others, targets: u32) -> Self {
        let grant = Grant::new(Right::ClientConnect)
            .with("network", Pattern::exact("shop").expect("a value"))
            .and_then(|grant| grant.with("server_hostname", Pattern::Any));
        let constraint = Constraint {
            rights: Rights::only(Right::ClientConnect),
            in_labels: labels(&[("network", "shop")]),
            out_labels: labels(&[("client_service", "web"), ("client_instance", "7")]),
            grants: Some(vec![grant.expect("a grant")]),
        };
        let mut directory = Directory::new();
        let mut register = |labels: &Labels| {
            let permit = Capability::root().permit::<right::ServerStart>(labels);
            directory.register(&permit.expect("the root may register"));
        };
        register(&if others == Others::LackingTwoKeys { with_color("wanted", 0) } else { service("wanted") });
        (1..targets).for_each(|number| register(&others.labels(number)));
        let guest = Capability::root().constrain(&constraint).expect("a weaker capability");
        Self { guest, request: service("wanted"), directory }
    }

    /// Decides once.
    ///
    /// # Panics
    /// If the decision is not what it must be.
    pub fn decide(&mut self) {
        let permit = self.guest.permit::<right::ClientConnect>(black_box(&self.request));
        let permit = permit.expect("the grant covers it");
        black_box(self.directory.connect(&permit, Duration::ZERO).expect("the wanted one is there"));
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::try_from_pairs(pairs.iter().copied()).expect("labels of the benchmark")
}

fn service(name: &str) -> Labels {
    labels(&[("network", "shop"), ("server_hostname", name)])
}

fn with_color(name: &str, number: u32) -> Labels {
    let number = number.to_string();
    labels(&[("network", "shop"), ("server_hostname", name), ("color", &number), ("rack", "1")])
}
