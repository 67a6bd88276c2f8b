//! The network, as far as it was granted.

#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use wasmpool_guest::{context, task};

/// Connects, sends a text, and returns everything that comes back.
#[task]
fn tcp_ask(address: &str, text: &str) -> Result<String, io::Error> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(text.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The same without ever waiting: it reads again and again until something is there.
#[task]
fn tcp_ask_spinning(address: &str, text: &str) -> Result<String, io::Error> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(text.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    stream.set_nonblocking(true)?;
    let mut answer = Vec::new();
    loop {
        let mut buffer = [0; 1024];
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(String::from_utf8_lossy(&answer).into_owned()),
            Ok(length) => answer.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Listens, connects to itself, and returns what went through.
#[task]
fn tcp_with_itself(listen: &str, text: &str) -> Result<String, io::Error> {
    let listener = TcpListener::bind(listen)?;
    let mut client = TcpStream::connect(listen)?;
    let (mut server, _) = listener.accept()?;
    client.write_all(text.as_bytes())?;
    client.shutdown(Shutdown::Write)?;
    let mut seen = String::new();
    server.read_to_string(&mut seen)?;
    Ok(seen)
}

/// Listens on a port, and says which one it is.
#[task]
fn tcp_listen(address: &str) -> Result<u16, io::Error> {
    Ok(TcpListener::bind(address)?.local_addr()?.port())
}

/// Waits for somebody who never connects.
#[task]
fn tcp_accept(address: &str) -> Result<(), io::Error> {
    let listener = TcpListener::bind(address)?;
    context::progress(1, None);
    listener.accept().map(drop)
}

/// Waits for a byte that never comes.
#[task]
fn tcp_receive(address: &str) -> Result<(), io::Error> {
    let mut stream = TcpStream::connect(address)?;
    context::progress(1, None);
    stream.read(&mut [0; 1]).map(drop)
}

/// Sends a datagram, and returns the one that comes back.
#[task]
fn udp_ask(address: &str, text: &str) -> Result<String, io::Error> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.send_to(text.as_bytes(), address)?;
    let mut buffer = [0; 1024];
    let (length, _) = socket.recv_from(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

/// The addresses of a name.
#[task]
fn look_up(name: &str) -> Result<Vec<String>, io::Error> {
    Ok((name, 1).to_socket_addrs()?.map(|address| address.ip().to_string()).collect())
}
