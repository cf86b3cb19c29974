//! `GET /metrics` over HTTP, on a thread of its own: a scrape costs the queue nothing.
//!
//! It listens on loopback unless the config says in so many words that others may read. Whoever can open a web page on
//! this machine can make a browser ask any address, under a name that was made to point here; so on loopback only
//! requests are answered whose `Host` says loopback, too.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{sync_channel, SyncSender};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HOST};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, Semaphore};

use super::exporter::Exporter;

/// One who asks to listen elsewhere waits for the answer: there is never a second one.
const REQUESTS_MAX: usize = 1;
/// Scrapes at the same time; who finds no place is hung up on, and comes again with the next scrape.
const SCRAPES_MAX: usize = 16;
/// Who has not asked, or not read the answer, by then is hung up on.
const SCRAPE_MAX: Duration = Duration::from_secs(10);
/// Observations are sorted into their buckets this often, if nobody scrapes.
const SETTLE_EVERY: Duration = Duration::from_secs(5);
/// After an accept that failed (no file descriptors left), the next one is tried this much later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What `GET /` says.
const GREETING: &str = "wezterm-parallel: the metrics are at /metrics\n";
/// The text format of Prometheus.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// To listen there, or nowhere, from now on; and who waits for what came of it.
struct Listen {
    address: Option<SocketAddr>,
    reply: SyncSender<Result<Option<SocketAddr>, String>>,
}

/// The thread that serves the metrics. It ends when this is dropped.
#[derive(Debug)]
pub struct Endpoint {
    requests: mpsc::Sender<Listen>,
}

impl Endpoint {
    /// Starts the thread, which listens nowhere yet.
    ///
    /// # Errors
    /// If there can be no thread.
    pub fn start(exporter: Arc<Exporter>) -> std::io::Result<Self> {
        let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let work = move || runtime.block_on(run(inbox, exporter));
        std::thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(work)?;
        Ok(Self { requests })
    }

    /// Listens there from now on, or nowhere, and returns once that is so: the real address, with the port that the
    /// system has chosen for port 0. Counters go on.
    ///
    /// # Errors
    /// Why it cannot listen there, in words; then it listens nowhere.
    pub fn listen(&self, address: Option<SocketAddr>) -> Result<Option<SocketAddr>, String> {
        let (reply, answer) = sync_channel(1);
        let ended = |_| "the thread that serves the metrics has ended".to_owned();
        self.requests
            .try_send(Listen { address, reply })
            .map_err(|error| ended(error.to_string()))?;
        answer.recv().map_err(|error| ended(error.to_string()))?
    }
}

/// Where it listens.
struct Place {
    /// What was asked for.
    asked: SocketAddr,
    listener: TcpListener,
}

async fn run(mut inbox: mpsc::Receiver<Listen>, exporter: Arc<Exporter>) {
    let mut place: Option<Place> = None;
    let places = Arc::new(Semaphore::new(SCRAPES_MAX));
    let mut settle = tokio::time::interval(SETTLE_EVERY);
    settle.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            request = inbox.recv() => {
                let Some(Listen { address, reply }) = request else { return };
                let moved = listen(&mut place, address);
                // Whoever asked may have given up.
                let _ = reply.send(moved);
            }
            accepted = accept(place.as_ref()) => match (accepted, Arc::clone(&places).try_acquire_owned()) {
                (Ok((stream, is_local)), Ok(permit)) => {
                    let exporter = Arc::clone(&exporter);
                    tokio::spawn(async move {
                        serve(stream, is_local, exporter).await;
                        drop(permit);
                    });
                }
                (Ok(_), Err(_)) => tracing::debug!("too many scrapes at the same time"),
                (Err(error), _) => {
                    tracing::debug!(%error, "a scrape could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            () = exporter.have_many() => exporter.settle(),
            _ = settle.tick() => exporter.settle(),
        }
    }
}

/// Moves to another address. The old one is given up first: the new one may be the same port.
fn listen(place: &mut Option<Place>, address: Option<SocketAddr>) -> Result<Option<SocketAddr>, String> {
    let Some(asked) = address else {
        *place = None;
        return Ok(None);
    };
    if place.as_ref().is_none_or(|place| place.asked != asked) {
        *place = None;
        let failed = |error: std::io::Error| format!("metrics cannot be served at {asked}: {error}");
        let listener = bind(asked).map_err(failed)?;
        *place = Some(Place { asked, listener });
    }
    let real = place.as_ref().and_then(|place| place.listener.local_addr().ok());
    Ok(real.or(Some(asked)))
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// The next one who asks, and whether the address is one of loopback; never, as long as it listens nowhere.
async fn accept(place: Option<&Place>) -> std::io::Result<(TcpStream, bool)> {
    match place {
        Some(place) => {
            let (stream, _) = place.listener.accept().await?;
            Ok((stream, place.asked.ip().is_loopback()))
        }
        None => std::future::pending().await,
    }
}

/// One request to a connection: a scrape every some seconds over loopback needs none that is kept.
async fn serve(stream: TcpStream, is_local: bool, exporter: Arc<Exporter>) {
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let answer = answer(&request, is_local, &exporter);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    if let Ok(Err(error)) = tokio::time::timeout(SCRAPE_MAX, connection).await {
        tracing::debug!(%error, "a scrape broke");
    }
}

fn answer<T>(request: &Request<T>, is_local: bool, exporter: &Exporter) -> Response<Full<Bytes>> {
    let host = request.headers().get(HOST);
    let host_is_local = host.is_none_or(|host| host.to_str().is_ok_and(is_loopback_host));
    if is_local && !host_is_local {
        return plain(
            StatusCode::FORBIDDEN,
            "only asked for as localhost, or by a loopback address\n",
        );
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut refusal = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        refusal
            .headers_mut()
            .insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match request.uri().path() {
        "/metrics" => {
            let mut answer = plain(StatusCode::OK, exporter.text());
            answer
                .headers_mut()
                .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(TEXT_FORMAT));
            answer
        }
        "/" => plain(StatusCode::OK, GREETING),
        _ => plain(StatusCode::NOT_FOUND, "the metrics are at /metrics\n"),
    }
}

/// An answer of plain text; to HEAD the server leaves out the text by itself.
fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

/// Whether this `Host`, with or without a port, is this machine by a name that nobody else can give away.
fn is_loopback_host(host: &str) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        _ => host,
    };
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    let is_name = name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost");
    is_name || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_loopback_are_local() {
        let local = [
            "localhost",
            "LocalHost:9469",
            "127.0.0.1",
            "127.0.0.1:9469",
            "[::1]",
            "[::1]:9469",
            "a.localhost:1",
        ];
        for host in local {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9469",
            "localhost.evil.example",
            "192.168.0.7:9469",
            "",
            ":",
            "[::1",
        ] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }

    fn ask(method: Method, path: &str) -> StatusCode {
        let request = Request::builder().method(method).uri(path).body(()).unwrap();
        answer(&request, true, &Exporter::new()).status()
    }

    #[test]
    fn there_are_two_pages_to_read() {
        assert_eq!(ask(Method::GET, "/metrics"), StatusCode::OK);
        assert_eq!(ask(Method::HEAD, "/metrics"), StatusCode::OK);
        assert_eq!(ask(Method::GET, "/metrics?debug=1"), StatusCode::OK);
        assert_eq!(ask(Method::GET, "/"), StatusCode::OK);
        assert_eq!(ask(Method::GET, "/metrics/"), StatusCode::NOT_FOUND);
        assert_eq!(ask(Method::POST, "/metrics"), StatusCode::METHOD_NOT_ALLOWED);
    }

    #[test]
    fn a_name_that_was_made_to_point_here_is_refused() {
        let status = |is_local| {
            let request = Request::builder().uri("/metrics").header(HOST, "evil.example");
            answer(&request.body(()).unwrap(), is_local, &Exporter::new()).status()
        };
        assert_eq!(status(true), StatusCode::FORBIDDEN);
        // Where others may read, they come by whatever name the machine has.
        assert_eq!(status(false), StatusCode::OK);
    }

    #[test]
    fn it_moves_to_where_it_is_told_to() {
        let endpoint = Endpoint::start(Arc::new(Exporter::new())).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let first = endpoint.listen(Some(any)).unwrap().expect("an address");
        assert_ne!(first.port(), 0);
        assert_eq!(endpoint.listen(Some(any)), Ok(Some(first)), "it stays as it was");
        assert!(std::net::TcpStream::connect(first).is_ok());
        let taken = std::net::TcpListener::bind(any).unwrap();
        let taken = taken.local_addr().map(|address| (taken, address)).unwrap();
        let error = endpoint.listen(Some(taken.1)).unwrap_err();
        assert!(error.contains(&taken.1.to_string()), "{error}");
        assert!(std::net::TcpStream::connect(first).is_err(), "it listens nowhere");
        assert_eq!(endpoint.listen(None), Ok(None));
    }
}
