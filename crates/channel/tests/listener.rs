//! Connecting to a path from many sides.

use channel::{Channel, Listener};
use protocol::message::{Request, RequestBody, RequestId, Response};

#[tokio::test]
async fn everyone_who_connects_gets_a_channel_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener = Listener::new(fdpass::listen(&path).unwrap()).unwrap();
    let mut clients = Vec::new();
    for id in 0..100 {
        let client = Channel::<Response, Request>::new(fdpass::connect(&path).unwrap()).unwrap();
        let body = RequestBody::List(capability::Labels::new());
        client.send(&Request { id: RequestId(id), body }, None).await.unwrap();
        clients.push(client);
    }
    for id in 0..100 {
        let server = Channel::<Request, Response>::new(listener.accept().await.unwrap()).unwrap();
        let (request, _) = server.receive().await.unwrap().unwrap();
        assert_eq!(request.id.0, id);
    }
    let another = async { fdpass::connect(&path).unwrap() };
    let (accepted, _connected) = tokio::join!(listener.accept(), another);
    assert!(accepted.is_ok());
}
