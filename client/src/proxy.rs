//! The proxy that the environment names for a URL. No value of a variable may be in an error: it can hold a password.

use ureq::Proxy;
use ureq::http::Uri;

/// Looks up an environment variable.
type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The proxy for requests to `url`, if there is one. The error names the variable that cannot be used.
pub(crate) fn from_environment(url: &Uri) -> Result<Option<Proxy>, String> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    proxy(url, &set)
}

fn proxy(url: &Uri, env: Env<'_>) -> Result<Option<Proxy>, String> {
    // HTTP_PROXY is not read, because a CGI program gets the client's header `Proxy` in it.
    let names: &[&str] = match url.scheme_str() {
        Some("https") => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
        _ => &["http_proxy", "all_proxy", "ALL_PROXY"],
    };
    let found = names.iter().find_map(|name| Some((name, env(name)?)));
    let Some((name, value)) = found else {
        return Ok(None);
    };
    let named = Proxy::new(&value).map_err(|_| {
        format!("{name} in the environment is not a proxy's address, expected http://HOST:PORT")
    })?;
    let mut builder = Proxy::builder(named.protocol())
        .host(named.host())
        .port(named.port());
    if let Some(user) = named.username() {
        builder = builder.username(user);
    }
    if let Some(password) = named.password() {
        builder = builder.password(password);
    }
    let exceptions = env("no_proxy").or_else(|| env("NO_PROXY"));
    for exception in exceptions.unwrap_or_default().split(',') {
        builder = builder.no_proxy(exception.trim());
    }
    let proxy = builder
        .build()
        .map_err(|_| format!("{name} in the environment cannot be used as a proxy's address"))?;
    Ok((!proxy.is_no_proxy(url)).then_some(proxy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(url: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let env = |name: &str| {
            let found = variables.iter().find(|(is, _)| *is == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let proxy = proxy(&url.parse().unwrap(), &env)?;
        Ok(proxy.map(|proxy| format!("{}:{}", proxy.host(), proxy.port())))
    }

    #[test]
    fn the_address_decides_which_proxy_it_is() {
        let all = [
            ("https_proxy", "http://s:1"),
            ("http_proxy", "http://p:2"),
            ("ALL_PROXY", "http://a:3"),
        ];
        let some = |proxy: &str| Ok(Some(proxy.to_owned()));
        assert_eq!(chosen("https://x.example", &all), some("s:1"));
        assert_eq!(chosen("http://x.example", &all), some("p:2"));
        assert_eq!(chosen("http://x.example", &all[2..]), some("a:3"));
        assert_eq!(chosen("http://x.example", &all[..1]), Ok(None));
        assert_eq!(
            chosen("http://x.example", &[("HTTP_PROXY", "http://p:2")]),
            Ok(None)
        );
        assert_eq!(chosen("https://x.example", &[]), Ok(None));
        assert_eq!(
            chosen("https://x.example", &[("HTTPS_PROXY", "me:pw@p:2")]),
            some("p:2")
        );
    }

    #[test]
    fn exceptions_are_asked_directly() {
        let with = |no: &'static str| [("ALL_PROXY", "http://a:3"), ("NO_PROXY", no)];
        assert_eq!(chosen("https://x.example", &with("y, x.example")), Ok(None));
        assert_eq!(chosen("https://x.example", &with(".example")), Ok(None));
        assert!(chosen("https://x.example", &with("y")).unwrap().is_some());
    }

    #[test]
    fn nonsense_is_named_without_its_value() {
        let error = chosen("https://x", &[("HTTPS_PROXY", "secret://\u{0}")]).unwrap_err();
        assert!(
            error.contains("HTTPS_PROXY") && !error.contains("secret"),
            "{error}"
        );
    }
}
