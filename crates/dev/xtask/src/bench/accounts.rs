//! Users that the measurements sign in as.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::http::Http;
use super::stack::Stack;

const PASSWORD: &str = "correct-horse-battery";

/// A signed-in user.
pub struct Account {
    pub email: String,
    pub user: String,
    pub access_token: String,
    pub refresh_token: String,
    /// The session that the tokens belong to.
    pub session: String,
}

/// The body that signs an account in, or up.
pub fn credentials(email: &str) -> String {
    json!({ "email": email, "password": PASSWORD }).to_string()
}

/// Signs a new user up.
pub fn sign_up(stack: &Stack, name: &str) -> Result<Account> {
    let mut http = Http::connect(stack.api_port)?;
    let email = format!("{name}@example.com");
    let headers = [("apikey", stack.key("ANON_KEY"))];
    let answer = http.send("POST", "/auth/v1/signup", &headers, &credentials(&email))?.expect(200)?.json()?;
    let text =
        |value: &Value| value.as_str().map(str::to_owned).context("no session in the answer to sign-up");
    let (access_token, refresh_token) = (text(&answer["access_token"])?, text(&answer["refresh_token"])?);
    Ok(Account {
        email,
        user: text(&answer["user"]["id"])?,
        session: session(&access_token)?,
        access_token,
        refresh_token,
    })
}

/// The claim `session_id` of a token.
fn session(token: &str) -> Result<String> {
    let payload = token.split('.').nth(1).context("a token has three parts")?;
    let claims: Value = serde_json::from_slice(&decode(payload)).context("the claims of a token")?;
    claims["session_id"].as_str().map(str::to_owned).context("no session_id in the token")
}

/// base64url without padding.
fn decode(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'-' => 62,
        _ => 63,
    };
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0u32, 0);
    for byte in text.bytes() {
        bits = bits << 6 | u32::from(digit(byte));
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_is_read_from_a_token() {
        // {"a":"ÿþ~","session_id":"x-1"}
        let token = "h.eyJhIjoiw7_Dvn4iLCJzZXNzaW9uX2lkIjoieC0xIn0.s";
        assert_eq!(session(token).unwrap(), "x-1");
        assert!(session("h.e30.s").is_err());
    }
}
