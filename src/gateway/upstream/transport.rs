//! Failures of the transport: what hyper and reqwest report becomes a failure class.
//!
//! By types and kinds alone. Only our own words and those of our libraries get into the detail:
//! reqwest's message would show the URL.

use std::{error::Error, io};

use super::{address::AddressRefused, direct::ConnectTooSlow, resolver::Unresolved};
use crate::domain::failure::{Failure, FailureClass};

/// Longest description of a TLS failure kept, in characters: it may quote a certificate.
const MAX_TLS_CHARS: usize = 200;

/// No answer has begun. `is_proxied`: the credential has a proxy of its own, which then may be what
/// failed.
pub(super) fn before_head(error: &(dyn Error + 'static), is_proxied: bool) -> Failure {
    let failure = without_head(error);
    if !is_proxied {
        return failure;
    }
    let detail = format!("through the credential's proxy: {}", failure.detail);
    Failure { detail, ..failure }
}

fn without_head(error: &(dyn Error + 'static)) -> Failure {
    let connect = |detail: String| Failure::new(FailureClass::Connect, detail);
    for cause in causes(error) {
        if let Some(refused) = cause.downcast_ref::<AddressRefused>() {
            return connect(refused.to_string());
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            let description: String = tls.to_string().chars().take(MAX_TLS_CHARS).collect();
            return connect(format!("TLS failed: {description}"));
        }
        if cause.is::<Unresolved>() {
            return connect("the name of the host does not resolve".to_owned());
        }
    }
    let is_connect = causes(error)
        .filter_map(|cause| cause.downcast_ref::<hyper_util::client::legacy::Error>())
        .any(hyper_util::client::legacy::Error::is_connect);
    match (is_connect, is_timeout(error)) {
        (true, true) => connect("connecting took too long".to_owned()),
        (true, false) => connect(describe("no connection", error)),
        (false, true) => {
            Failure::new(FailureClass::Silent, "the connection timed out before an answer")
        }
        (false, false) => connect(describe("the connection was lost before an answer", error)),
    }
}

/// An answer has begun and its body has not ended.
pub(super) fn during_body(error: &(dyn Error + 'static)) -> Failure {
    if is_timeout(error) {
        return Failure::new(FailureClass::Stalled, "the connection timed out during the answer");
    }
    Failure::new(FailureClass::Cut, describe("the connection was lost in the middle of it", error))
}

fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| {
        cause.is::<ConnectTooSlow>()
            || cause.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout)
            || cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout)
            || cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
    })
}

fn describe(what: &str, error: &(dyn Error + 'static)) -> String {
    let kind = causes(error).find_map(|cause| Some(cause.downcast_ref::<io::Error>()?.kind()));
    match kind {
        Some(kind) => format!("{what}: {kind}"),
        None => what.to_owned(),
    }
}

/// The error and what caused it, down to the root. An `io::Error` names as its source the source of
/// what it wraps, so that the wrapped error itself has to be asked for.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
    })
}
