//! As much of HTTP/1.1 as a client of the API needs of its server.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};

/// What a client sent.
#[derive(Debug)]
pub struct Incoming {
    /// `GET`, `HEAD` or `POST`.
    pub method: String,
    /// The path, without what follows a question mark.
    pub path: String,
    /// Headers by their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body, whole.
    pub body: Vec<u8>,
}

/// The next request on a connection; `None` when the client has closed it.
pub fn read(reader: &mut impl BufRead) -> io::Result<Option<Incoming>> {
    let first = line(reader)?;
    let mut words = first.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let headers = headers(reader)?;
    let body = body(reader, &headers)?;
    Ok(Some(Incoming {
        method: method.to_owned(),
        path: target.split('?').next().unwrap_or_default().to_owned(),
        headers,
        body,
    }))
}

/// A line without its end; empty at the end of the stream.
fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

fn headers(reader: &mut impl BufRead) -> io::Result<BTreeMap<String, String>> {
    let mut headers = BTreeMap::new();
    loop {
        let line = line(reader)?;
        let Some((name, value)) = line.split_once(':') else {
            return Ok(headers);
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
}

fn body(reader: &mut impl BufRead, headers: &BTreeMap<String, String>) -> io::Result<Vec<u8>> {
    let is_chunked = headers
        .get("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    if is_chunked {
        return chunks(reader);
    }
    let length = headers
        .get("content-length")
        .map_or(Ok(0), |text| number(text, 10))?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}

fn chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(reader)?;
        let size = number(size.split(';').next().unwrap_or_default(), 16)?;
        reader.take(size as u64).read_to_end(&mut body)?;
        line(reader)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn number(text: &str, radix: u32) -> io::Result<usize> {
    usize::from_str_radix(text.trim(), radix)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("'{text}' is no size")))
}

/// A whole answer with a body of JSON; an empty one has none.
pub fn answer(to: &mut impl Write, status: u16, headers: &[(String, String)], body: &str) -> io::Result<()> {
    let mut bytes = head(status, headers, "application/json");
    bytes.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    to.write_all(bytes.as_bytes())
}

/// An answer that comes event by event.
pub struct Stream<'a, W: Write> {
    to: &'a mut W,
}

impl<'a, W: Write> Stream<'a, W> {
    /// Sends the head.
    pub fn begin(to: &'a mut W, headers: &[(String, String)]) -> io::Result<Self> {
        let head = head(200, headers, "text/event-stream; charset=utf-8");
        to.write_all(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes())?;
        Ok(Self { to })
    }

    /// Sends one event.
    pub fn event(&mut self, data: &serde_json::Value) -> io::Result<()> {
        let name = data["type"].as_str().unwrap_or_default();
        let event = format!("event: {name}\ndata: {data}\n\n");
        write!(self.to, "{:x}\r\n{event}\r\n", event.len())
    }

    /// Says that there is no more.
    pub fn end(self) -> io::Result<()> {
        self.to.write_all(b"0\r\n\r\n")
    }
}

fn head(status: u16, headers: &[(String, String)], content: &str) -> String {
    let mut head = format!("HTTP/1.1 {status} Stub\r\ncontent-type: {content}\r\nrequest-id: req_stub\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head
}
