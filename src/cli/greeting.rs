//! What a person sees when the pool has started.

use secrecy::ExposeSecret;

use crate::{
    app::{App, FirstKeys},
    domain::provider::Provider,
};

/// Prints where the pool is, who can answer, and at the first start the keys, once.
pub fn print(app: &App) {
    let address = app.address;
    println!("providerpool listens on http://{address}");
    if let Some(management) = app.management_address {
        println!("management is served on http://{management}");
    }
    let table = app.actors.providers.read();
    let usable: Vec<&Provider> =
        table.rows().filter(|row| row.is_usable()).map(|row| &*row.provider).collect();
    let names: Vec<&str> = usable.iter().map(|provider| provider.id.as_str()).collect();
    if names.is_empty() {
        println!("no provider is set up yet: set OPENAI_API_KEY (or another vendor's usual");
        println!("variable) and start again, or add one through the API");
    } else {
        println!("providers in use: {}", names.join(", "));
    }
    if let Some(keys) = &app.first_keys {
        print_keys(keys);
        let model = usable.iter().find_map(|provider| provider.models.first());
        print_first_request(address, keys, model.map(|model| model.name.as_str()));
    }
}

fn print_keys(keys: &FirstKeys) {
    println!();
    println!("These keys are shown this once and are not stored. Keep them:");
    println!("  admin key   {}", keys.admin.expose_secret());
    println!("  client key  {}", keys.client.expose_secret());
}

fn print_first_request(address: std::net::SocketAddr, keys: &FirstKeys, model: Option<&str>) {
    let key = keys.client.expose_secret();
    println!();
    println!("Try it:");
    match model {
        Some(model) => {
            let body = serde_json::json!({
                "model": model,
                "messages": [{ "role": "user", "content": "Say hello." }],
            });
            println!("  curl http://{address}/v1/chat/completions \\");
            println!("    -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\");
            println!("    -d '{body}'");
        }
        None => {
            println!("  curl http://{address}/v1/models -H 'Authorization: Bearer {key}'");
        }
    }
}
