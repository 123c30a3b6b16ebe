use super::*;
use crate::testing::run;

const LOOPBACK: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);

#[test]
fn an_arrival_names_interface_both_addresses_and_sender() {
    run(async {
        let any = Listener::bind("TFTP", SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0), None).unwrap();
        let client = Listener::bind("TFTP", LOOPBACK, None).unwrap();
        let to = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 9), any.address().port());
        client.send(b"hello", Ipv4Addr::UNSPECIFIED, 0, to).await.unwrap();
        let mut buffer = [0; 64];
        let (bytes, arrival) = any.recv(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..bytes], b"hello");
        assert_eq!(&*arrival.interface, "lo");
        assert_eq!(arrival.local, *to.ip());
        assert_eq!(arrival.sent_to, to);
        assert_eq!(arrival.remote, client.address());
        assert!(matches!(any.try_recv(&mut buffer), Err(error) if error.kind() == io::ErrorKind::WouldBlock));

        any.send(b"back", arrival.local, arrival.interface_index, arrival.remote).await.unwrap();
        let (_, back) = client.recv(&mut buffer).await.unwrap();
        assert_eq!(back.remote, to, "the answer comes from the address asked");
    });
}

#[test]
fn a_datagram_longer_than_the_buffer_is_dropped_and_counted() {
    run(async {
        let server = Listener::bind("TFTP", LOOPBACK, None).unwrap();
        let client = Listener::bind("TFTP", LOOPBACK, None).unwrap();
        client.send(&[1; 100], Ipv4Addr::UNSPECIFIED, 0, server.address()).await.unwrap();
        client.send(&[2; 10], Ipv4Addr::UNSPECIFIED, 0, server.address()).await.unwrap();
        let mut buffer = [0; 64];
        let (bytes, _) = server.recv(&mut buffer).await.unwrap();
        assert_eq!(buffer[..bytes], [2; 10]);
        assert_eq!(server.truncated(), 1);
    });
}

#[test]
fn a_taken_port_says_what_where_why_and_what_to_do() {
    run(async {
        let first = Listener::bind("TFTP", LOOPBACK, None).unwrap();
        let error = Listener::bind("TFTP", first.address(), None).unwrap_err();
        let port = first.address().port();
        assert_eq!(error.to_string(), format!("cannot listen for TFTP on 127.0.0.1:{port}"));
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(error.hint().unwrap(), format!("`ss -lunp 'sport = :{port}'` shows who holds it"));
    });
}

#[test]
fn an_unknown_interface_is_named_in_the_error() {
    run(async {
        let error = Listener::bind("DHCP", LOOPBACK, Some("nosuch0")).unwrap_err();
        assert_eq!(error.to_string(), "cannot listen for DHCP on 127.0.0.1:0, interface nosuch0");
        assert_eq!(error.hint().unwrap(), "`ip -brief link` shows the interfaces");
    });
}
