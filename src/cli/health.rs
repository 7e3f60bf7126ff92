//! `providerpool health`: asks the pool on this machine whether it is alive.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;

use super::show;
use crate::config::Config;

/// Longest wait for each step.
const TIMEOUT: Duration = Duration::from_secs(3);

pub fn run(config: &Config) -> anyhow::Result<ExitCode> {
    // Who has filled the one address has not filled the other.
    let address = reachable(config.server.management_bind.unwrap_or(config.server.bind));
    let status = ask(address).with_context(|| format!("no answer from http://{address}"))?;
    show(&format!("{status}\n"))?;
    Ok(if status.contains(" 200 ") { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Who listens everywhere is asked at home.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

/// The status line of `GET /health/live`. One line by hand is less than a second HTTP client.
fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut connection = TcpStream::connect_timeout(&address, TIMEOUT)?;
    connection.set_read_timeout(Some(TIMEOUT))?;
    connection.set_write_timeout(Some(TIMEOUT))?;
    write!(
        connection,
        "GET /health/live HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )?;
    let mut head = [0; 64];
    let length = connection.read(&mut head)?;
    let head = String::from_utf8_lossy(&head[..length]);
    Ok(head.lines().next().unwrap_or_default().to_owned())
}
