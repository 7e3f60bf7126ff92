//! Failures of the transport: what reqwest reports becomes a failure class.
//!
//! By types and kinds alone. Only our own words and those of our libraries get into the detail:
//! reqwest's message would show the URL.

use std::{error::Error, io};

use super::address::AddressRefused;
use crate::domain::failure::{Failure, FailureClass};

/// Longest description of a TLS failure kept, in characters: it may quote a certificate.
const MAX_TLS_CHARS: usize = 200;

/// No answer has begun. `is_proxied`: the credential has a proxy of its own, which then may be what
/// failed.
pub(super) fn before_head(error: &reqwest::Error, is_proxied: bool) -> Failure {
    let failure = without_head(error);
    if !is_proxied {
        return failure;
    }
    let detail = format!("through the credential's proxy: {}", failure.detail);
    Failure { detail, ..failure }
}

fn without_head(error: &reqwest::Error) -> Failure {
    let connect = |detail: String| Failure::new(FailureClass::Connect, detail);
    for cause in causes(error) {
        if let Some(refused) = cause.downcast_ref::<AddressRefused>() {
            return connect(refused.to_string());
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            let description: String = tls.to_string().chars().take(MAX_TLS_CHARS).collect();
            return connect(format!("TLS failed: {description}"));
        }
    }
    if error.is_builder() {
        return connect("the request could not be built".to_owned());
    }
    if error.is_dns() {
        return connect("the name of the host does not resolve".to_owned());
    }
    if error.is_connect() {
        return connect(if error.is_timeout() {
            "connecting took too long".to_owned()
        } else {
            describe("no connection", error)
        });
    }
    if error.is_timeout() {
        return Failure::new(FailureClass::Silent, "the connection timed out before an answer");
    }
    connect(describe("the connection was lost before an answer", error))
}

/// An answer has begun and its body has not ended.
pub(super) fn during_body(error: &reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::new(FailureClass::Stalled, "the connection timed out during the answer");
    }
    Failure::new(FailureClass::Cut, describe("the answer broke off", error))
}

fn describe(what: &str, error: &reqwest::Error) -> String {
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
