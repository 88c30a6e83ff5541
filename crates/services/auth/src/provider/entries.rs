//! The list of providers: one entry each.

use super::{ClientAuth, social, work};
use crate::external::Profile;
use serde_json::Value;

/// A provider of the list.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    /// Where people, tokens and profiles are, unless the project names a host of its own.
    pub(super) authorize: Place,
    pub(super) token: Place,
    pub(super) api: Place,
    /// What follows an own host in front of the API's paths.
    pub(super) own_api: &'static str,
    pub(super) scopes: &'static [&'static str],
    /// Whether clients may ask for more.
    pub(super) more_scopes: bool,
    pub(super) client_auth: ClientAuth,
    /// Whether we prove with a verifier that the code was meant for us.
    pub(super) pkce: bool,
    pub(super) says: Says,
}

/// A host, and a path on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place(pub(super) &'static str, pub(super) &'static str);

/// How a provider says who it is.
#[derive(Debug)]
pub(super) enum Says {
    /// On pages of its API.
    Pages { pages: &'static [&'static str], read: Read },
    /// In an ID token of this issuer.
    IdToken { issuer: &'static str },
    /// In an ID token of this issuer or, when there is none, on a page.
    Either { issuer: &'static str, page: &'static str, read: Read },
    /// With the tokens.
    Beside(Read),
    /// By OAuth 1.0a.
    OAuth1(Read),
}

/// Reads the pages; the text is where the API is.
pub(super) type Read = fn(&str, &[Value]) -> Option<Profile>;

const fn plain(name: &'static str, host: &'static str, paths: [&'static str; 2], says: Says) -> Entry {
    Entry {
        name,
        authorize: Place(host, paths[0]),
        token: Place(host, paths[1]),
        api: Place(host, ""),
        own_api: "",
        scopes: &[],
        more_scopes: true,
        client_auth: ClientAuth::Params,
        pkce: false,
        says,
    }
}

const fn pages(pages: &'static [&'static str], read: Read) -> Says {
    Says::Pages { pages, read }
}

/// The entry of a provider.
pub(super) fn find(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.name == name)
}

static ENTRIES: [Entry; 25] = [
    Entry {
        scopes: &["email", "name"],
        more_scopes: false,
        ..plain(
            "apple",
            "https://appleid.apple.com",
            ["/auth/authorize", "/auth/token"],
            Says::IdToken { issuer: super::id_token::APPLE },
        )
    },
    Entry {
        scopes: &["openid"],
        ..plain(
            "azure",
            "https://login.microsoftonline.com/common",
            ["/oauth2/v2.0/authorize", "/oauth2/v2.0/token"],
            Says::IdToken { issuer: "" },
        )
    },
    Entry {
        api: Place("https://api.bitbucket.org", "/2.0"),
        scopes: &["account", "email"],
        more_scopes: false,
        client_auth: ClientAuth::Header,
        ..plain(
            "bitbucket",
            "https://bitbucket.org",
            ["/site/oauth2/authorize", "/site/oauth2/access_token"],
            pages(&["/user", "/user/emails"], work::bitbucket),
        )
    },
    Entry {
        api: Place("https://discord.com", "/api"),
        scopes: &["email", "identify"],
        ..plain(
            "discord",
            "https://discord.com",
            ["/api/oauth2/authorize", "/api/oauth2/token"],
            pages(&["/users/@me"], social::discord),
        )
    },
    Entry {
        token: Place("https://graph.facebook.com", "/oauth/access_token"),
        api: Place("https://graph.facebook.com", ""),
        scopes: &["email"],
        ..plain(
            "facebook",
            "https://www.facebook.com",
            ["/dialog/oauth", ""],
            pages(&[social::FACEBOOK_PAGE], social::facebook),
        )
    },
    Entry {
        token: Place("https://api.figma.com", "/v1/oauth/token"),
        api: Place("https://api.figma.com", ""),
        scopes: &["current_user:read"],
        client_auth: ClientAuth::Header,
        ..plain("figma", "https://www.figma.com", ["/oauth", ""], pages(&["/v1/me"], work::figma))
    },
    Entry {
        scopes: &["read"],
        ..plain(
            "fly",
            "https://api.fly.io",
            ["/oauth/authorize", "/oauth/token"],
            pages(&["/oauth/token/info"], work::fly),
        )
    },
    Entry {
        api: Place("https://api.github.com", ""),
        own_api: "/api/v3",
        scopes: &["user:email"],
        ..plain(
            "github",
            "https://github.com",
            ["/login/oauth/authorize", "/login/oauth/access_token"],
            pages(&["/user", "/user/emails"], work::github),
        )
    },
    Entry {
        scopes: &["read_user"],
        ..plain(
            "gitlab",
            "https://gitlab.com",
            ["/oauth/authorize", "/oauth/token"],
            pages(&["/api/v4/user", "/api/v4/user/emails"], work::gitlab),
        )
    },
    Entry {
        token: Place("https://oauth2.googleapis.com", "/token"),
        scopes: &["email", "profile"],
        ..plain(
            "google",
            "https://accounts.google.com",
            ["/o/oauth2/v2/auth", ""],
            Says::Either {
                issuer: super::id_token::GOOGLE,
                page: "https://www.googleapis.com/userinfo/v2/me",
                read: social::google,
            },
        )
    },
    Entry {
        api: Place("https://kapi.kakao.com", ""),
        scopes: &["account_email", "profile_image", "profile_nickname"],
        ..plain(
            "kakao",
            "https://kauth.kakao.com",
            ["/oauth/authorize", "/oauth/token"],
            pages(&["/v2/user/me"], social::kakao),
        )
    },
    Entry {
        scopes: &["profile", "email"],
        ..plain(
            "keycloak",
            "",
            ["/protocol/openid-connect/auth", "/protocol/openid-connect/token"],
            pages(&["/protocol/openid-connect/userinfo"], work::keycloak),
        )
    },
    Entry {
        scopes: &["r_emailaddress", "r_liteprofile"],
        ..plain(
            "linkedin",
            "https://api.linkedin.com",
            ["/oauth/v2/authorization", "/oauth/v2/accessToken"],
            pages(
                &[
                    "/v2/me?projection=(id,firstName,lastName,profilePicture(displayImage~:playableStreams))",
                    "/v2/emailAddress?q=members&projection=(elements*(handle~))",
                ],
                work::linkedin,
            ),
        )
    },
    Entry {
        scopes: &["openid", "email", "profile"],
        ..plain(
            "linkedin_oidc",
            "https://api.linkedin.com",
            ["/oauth/v2/authorization", "/oauth/v2/accessToken"],
            Says::IdToken { issuer: super::id_token::LINKEDIN },
        )
    },
    Entry {
        more_scopes: false,
        client_auth: ClientAuth::Header,
        ..plain(
            "notion",
            "https://api.notion.com",
            ["/v1/oauth/authorize", "/v1/oauth/token"],
            pages(&["/v1/users/me"], work::notion),
        )
    },
    Entry {
        api: Place("https://slack.com", "/api"),
        scopes: &["profile", "email", "openid"],
        ..plain(
            "slack",
            "https://slack.com",
            ["/oauth/authorize", "/api/oauth.access"],
            pages(&["/openid.connect.userInfo"], work::slack),
        )
    },
    Entry {
        api: Place("https://slack.com", "/api"),
        scopes: &["profile", "email", "openid"],
        ..plain(
            "slack_oidc",
            "https://slack.com",
            ["/openid/connect/authorize", "/api/openid.connect.token"],
            pages(&["/openid.connect.userInfo"], work::slack_oidc),
        )
    },
    Entry {
        api: Place("https://kit.snapchat.com", ""),
        scopes: &[
            "https://auth.snapchat.com/oauth2/api/user.external_id",
            "https://auth.snapchat.com/oauth2/api/user.display_name",
            "https://auth.snapchat.com/oauth2/api/user.bitmoji.avatar",
        ],
        client_auth: ClientAuth::Header,
        ..plain(
            "snapchat",
            "https://accounts.snapchat.com",
            ["/accounts/oauth2/auth", "/accounts/oauth2/token"],
            pages(
                &["/v1/me?query=%7Bme+%7B+externalId+displayName+bitmoji+%7B+avatar+id+%7D+email+%7D+%7D"],
                social::snapchat,
            ),
        )
    },
    Entry {
        api: Place("https://api.spotify.com/v1", ""),
        scopes: &["user-read-email"],
        client_auth: ClientAuth::Header,
        ..plain(
            "spotify",
            "https://accounts.spotify.com",
            ["/authorize", "/api/token"],
            pages(&["/me"], social::spotify),
        )
    },
    Entry {
        api: Place("https://api.twitch.tv", ""),
        scopes: &["user:read:email"],
        ..plain(
            "twitch",
            "https://id.twitch.tv",
            ["/oauth2/authorize", "/oauth2/token"],
            pages(&["/helix/users"], social::twitch),
        )
    },
    Entry {
        more_scopes: false,
        ..plain(
            "twitter",
            "https://api.twitter.com",
            ["/oauth/authenticate", "/oauth/access_token"],
            Says::OAuth1(social::twitter),
        )
    },
    Entry {
        token: Place("https://api.x.com", "/2/oauth2/token"),
        api: Place("https://api.x.com", ""),
        scopes: &["users.email", "tweet.read", "users.read", "offline.access"],
        client_auth: ClientAuth::Header,
        pkce: true,
        ..plain(
            "x",
            "https://x.com",
            ["/i/oauth2/authorize", ""],
            pages(
                &[
                    "/2/users/me?user.fields=id,name,username,confirmed_email,profile_image_url,url,created_at",
                ],
                social::x,
            ),
        )
    },
    plain(
        "vercel_marketplace",
        "https://api.vercel.com",
        ["/oauth/v2/authorization", "/oauth/v2/accessToken"],
        Says::IdToken { issuer: super::id_token::VERCEL },
    ),
    Entry {
        more_scopes: false,
        ..plain(
            "workos",
            "https://api.workos.com",
            ["/sso/authorize", "/sso/token"],
            Says::Beside(work::workos),
        )
    },
    Entry {
        api: Place("https://api.zoom.us", "/v2"),
        more_scopes: false,
        client_auth: ClientAuth::Header,
        ..plain(
            "zoom",
            "https://zoom.us",
            ["/oauth/authorize", "/oauth/token"],
            pages(&["/users/me"], work::zoom),
        )
    },
];
