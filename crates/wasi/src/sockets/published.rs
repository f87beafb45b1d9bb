//! A port of the guest that the switchboard knows: what arrives there from outside goes to whoever has the door open.
//!
//! One registration serves all sockets that hold the port, so that a guest which listens on both families is one server
//! and not two.

use capability::Labels;
use client::{Connection, Server};
use tokio::task::AbortHandle;

use crate::sockets::arrived::Arrived;
use crate::sockets::denial::{Action, Denial, DenialCause};
use crate::sockets::network::Reporter;
use crate::sockets::pending::Tasks;
use crate::sockets::ports::{Door, Ports, Transport};

/// A port registered as a server. Dropping it takes the server out of the switchboard; what has arrived and was not
/// accepted is closed.
#[derive(Debug)]
pub(crate) struct Published {
    dispatch: AbortHandle,
}

impl Published {
    pub(crate) fn start(tasks: &Tasks, server: Server, port: Port) -> Published {
        Published { dispatch: tasks.spawn(dispatch(server, port)) }
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        self.dispatch.abort();
    }
}

/// Which port it is, and where its doors are.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) ports: Ports,
    pub(crate) transport: Transport,
    pub(crate) number: u16,
    /// As a grant names it.
    pub(crate) target: String,
    pub(crate) reporter: Reporter,
}

async fn dispatch(server: Server, port: Port) {
    // One after the other: while a listener's queue is full, the next waits in the channel, and when that is full the
    // switchboard tells the ingress.
    while let Some(connection) = server.accept().await {
        match port.transport {
            Transport::Tcp => port.deliver_stream(connection).await,
            Transport::Udp => port.deliver_datagrams(connection).await,
        }
    }
    let reason = "the switchboard is gone; nothing arrives here any more".to_owned();
    port.reporter.tell(Denial { action: Action::Bind, target: port.target, cause: DenialCause::Failed { reason } });
}

impl Port {
    async fn deliver_stream(&self, connection: Connection) {
        let mut arrived = Arrived::accepted(connection, self.number);
        loop {
            let near = arrived.addresses.local.ip();
            let Door::Listener(queue) = self.ports.until_open(self.transport, self.number, near).await else { return };
            // The listener may close while this waits for room in its queue: then the next one gets the connection.
            match queue.send(arrived).await {
                Ok(()) => return,
                Err(returned) => arrived = returned.0,
            }
            // The door of a listener that is being dropped stays open for a moment.
            tokio::task::yield_now().await;
        }
    }

    async fn deliver_datagrams(&self, connection: Connection) {
        let Some(near) = crate::sockets::arrived::local_of(&connection.socket) else { return };
        let door = self.ports.until_open(self.transport, self.number, near.ip()).await;
        if let Door::Datagrams(socket) = door
            && let Some(socket) = socket.upgrade()
        {
            socket.adopt(connection);
        }
    }
}

/// The in-labels of a server at a port; which application and service it belongs to is for the handle to say.
pub(crate) fn in_labels(transport: Transport, port: u16) -> Result<Labels, capability::LabelError> {
    use capability::keys::{SERVER_PORT, TRANSPORT};
    Labels::try_from_pairs([(TRANSPORT, transport.label()), (SERVER_PORT, &*port.to_string())])
}
