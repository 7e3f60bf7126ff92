//! What a person sees when the pool has started.

use std::{
    io::{self, Write, stdout},
    net::SocketAddr,
};

use secrecy::ExposeSecret;

use crate::{
    app::{App, FirstKeys},
    domain::provider::Provider,
};

/// Prints where the pool is, who can answer, and at the first start the keys, once.
///
/// Errors: it cannot be written.
pub fn print(app: &App) -> io::Result<()> {
    let out = &mut stdout().lock();
    let address = app.address;
    writeln!(out, "providerpool listens on http://{address}")?;
    if let Some(management) = app.management_address {
        writeln!(out, "management is served on http://{management}")?;
    }
    let table = app.actors.providers.read();
    let usable: Vec<&Provider> =
        table.rows().filter(|row| row.is_usable()).map(|row| &*row.provider).collect();
    let names: Vec<&str> = usable.iter().map(|provider| provider.id.as_str()).collect();
    if names.is_empty() {
        writeln!(out, "no provider is set up yet: set OPENAI_API_KEY (or another vendor's usual")?;
        writeln!(out, "variable) and start again, or add one through the API")?;
    } else {
        writeln!(out, "providers in use: {}", names.join(", "))?;
    }
    if let Some(keys) = &app.first_keys {
        print_keys(out, keys)?;
        let model = usable.iter().find_map(|provider| provider.models.first());
        print_first_request(out, address, keys, model.map(|model| model.name.as_str()))?;
    }
    out.flush()
}

fn print_keys(out: &mut impl Write, keys: &FirstKeys) -> io::Result<()> {
    writeln!(out)?;
    writeln!(out, "These keys are shown this once and are not stored. Keep them:")?;
    writeln!(out, "  admin key   {}", keys.admin.expose_secret())?;
    writeln!(out, "  client key  {}", keys.client.expose_secret())
}

fn print_first_request(
    out: &mut impl Write,
    address: SocketAddr,
    keys: &FirstKeys,
    model: Option<&str>,
) -> io::Result<()> {
    let key = keys.client.expose_secret();
    writeln!(out)?;
    writeln!(out, "Try it:")?;
    match model {
        Some(model) => {
            let body = serde_json::json!({
                "model": model,
                "messages": [{ "role": "user", "content": "Say hello." }],
            });
            writeln!(out, "  curl http://{address}/v1/chat/completions \\")?;
            writeln!(
                out,
                "    -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\"
            )?;
            writeln!(out, "    -d '{body}'")?;
        }
        None => {
            writeln!(out, "  curl http://{address}/v1/models -H 'Authorization: Bearer {key}'")?;
        }
    }
    Ok(())
}
