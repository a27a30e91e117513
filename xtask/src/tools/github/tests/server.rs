//! A GitHub of one repository, in memory.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::github::Repository;
use crate::tools::github::Github;

pub const TOKEN: &str = "ghs_canary";
const REPO: &str = "/repos/shop/site";

/// What happens to the next request of a method, once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trouble {
    DropBefore,
    DropAfter,
    Status(u16),
    Limited,
    /// The comment asked for is deleted first.
    Vanish,
}

#[derive(Default)]
struct State {
    last: u64,
    /// Id, body, author.
    comments: Vec<(u64, String, String)>,
    deployments: Vec<Value>,
    pulls: Vec<Value>,
    login: String,
    /// What GraphQL says; with it, `/user` is refused.
    viewer: Option<String>,
    personal: bool,
    troubles: Vec<(String, Trouble)>,
    always: Option<(u16, String, String)>,
    calls: Vec<String>,
}

pub struct Server {
    address: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State {
            login: "github-actions[bot]".to_owned(),
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || while serve(&stream, &state).is_some() {});
            }
        });
        Server { address, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn github(&self) -> Github {
        let repository = Repository::parse("shop/site").unwrap();
        Github::new(&format!("http://{}", self.address), TOKEN, repository)
    }

    pub fn comment(&self, author: &str, body: &str) {
        let mut state = self.state();
        let id = state.next();
        state
            .comments
            .push((id, body.to_owned(), author.to_owned()));
    }

    pub fn comments(&self) -> Vec<(u64, String, String)> {
        self.state().comments.clone()
    }

    pub fn own_comments(&self) -> Vec<String> {
        let state = self.state();
        let own = state.comments.iter().filter(|(_, body, author)| {
            author.eq_ignore_ascii_case(&state.login) && body.starts_with(super::MARKED)
        });
        own.map(|(_, body, _)| body.clone()).collect()
    }

    pub fn pull(&self, number: u64, state: &str) {
        self.state().pulls.push(json!({
            "number": number, "state": state, "title": "t", "user": {"login": "ann"},
            "head": {"sha": "a".repeat(40), "ref": "b", "repo": {"full_name": "shop/site"}},
            "base": {"repo": {"full_name": "shop/site"}},
        }));
    }

    pub fn user(&self, login: &str, viewer: Option<&str>) {
        let mut state = self.state();
        login.clone_into(&mut state.login);
        state.viewer = viewer.map(str::to_owned);
        state.personal = viewer.is_none();
    }

    pub fn trouble(&self, method: &str, trouble: Trouble) {
        self.state().troubles.push((method.to_owned(), trouble));
    }

    pub fn always(&self, status: u16, headers: &str, body: &str) {
        self.state().always = Some((status, headers.to_owned(), body.to_owned()));
    }

    pub fn calls(&self, call: &str) -> usize {
        self.state()
            .calls
            .iter()
            .filter(|made| *made == call)
            .count()
    }

    pub fn states(&self) -> Vec<(u64, String)> {
        let state = self.state();
        let rows = state.deployments.iter().map(|row| {
            let newest = row["statuses"][0]["state"].as_str().unwrap_or_default();
            (row["id"].as_u64().unwrap(), newest.to_owned())
        });
        rows.collect()
    }
}

/// Status, more headers, body.
type Answer = (u16, String, String);

fn ok(value: &Value) -> Answer {
    (200, String::new(), value.to_string())
}

fn refused(status: u16) -> Answer {
    (
        status,
        String::new(),
        json!({ "message": "refused" }).to_string(),
    )
}

/// One request of a connection; `None` ends it.
fn serve(stream: &TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_ascii_lowercase();
    let length = lower
        .split_once("content-length: ")
        .and_then(|(_, rest)| rest.split("\r\n").next()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut words = head.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    assert!(head.contains(&format!("Bearer {TOKEN}")) && lower.contains("user-agent: xtask/"));
    let (status, headers, text) = state.lock().unwrap().answer(method, target, &body)?;
    let answer = format!(
        "HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n{text}",
        text.len()
    );
    let mut stream = stream;
    stream.write_all(answer.as_bytes()).ok()
}

impl State {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn answer(&mut self, method: &str, target: &str, body: &Value) -> Option<Answer> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        self.calls.push(format!("{method} {path}"));
        if path == "/user" || path == "/graphql" {
            return Some(self.who(path));
        }
        if let Some(always) = &self.always {
            return Some(always.clone());
        }
        let trouble = self.troubles.iter().position(|(of, _)| of == method);
        match trouble.map(|index| self.troubles.remove(index).1) {
            Some(Trouble::DropBefore) => None,
            Some(Trouble::DropAfter) => {
                self.work(method, path, query, body);
                None
            }
            Some(Trouble::Status(status)) => Some(refused(status)),
            Some(Trouble::Limited) => Some((429, "Retry-After: 0\r\n".to_owned(), "{}".to_owned())),
            Some(Trouble::Vanish) => {
                self.comments.clear();
                Some(self.work(method, path, query, body))
            }
            None => Some(self.work(method, path, query, body)),
        }
    }

    fn who(&self, path: &str) -> Answer {
        match (path, &self.viewer) {
            ("/user", _) if self.personal => ok(&json!({ "login": self.login })),
            ("/graphql", Some(viewer)) => ok(&json!({ "data": { "viewer": { "login": viewer } } })),
            _ => refused(403),
        }
    }

    fn work(&mut self, method: &str, path: &str, query: &str, body: &Value) -> Answer {
        let path = path.strip_prefix(REPO).unwrap_or_default();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match (method, parts.as_slice()) {
            ("GET", ["issues", "7", "comments"]) => {
                let rows = self.comments.iter().map(|(id, body, author)| json!({ "id": id, "body": body, "user": { "login": author } }));
                page(rows.collect(), query)
            }
            ("POST", ["issues", "7", "comments"]) => {
                let id = self.next();
                let body = body["body"].as_str().unwrap().to_owned();
                self.comments.push((id, body, self.login.clone()));
                ok(&json!({ "id": id }))
            }
            ("PATCH" | "DELETE", ["issues", "comments", id]) => self.at_comment(method, id, body),
            ("GET", ["pulls"]) => {
                let open = self.pulls.iter().filter(|pull| pull["state"] == "open");
                page(open.cloned().collect(), query)
            }
            ("GET", ["pulls", number]) => match self
                .pulls
                .iter()
                .find(|pull| pull["number"].as_u64() == number.parse().ok())
            {
                Some(pull) => ok(pull),
                None => refused(404),
            },
            (_, ["deployments", rest @ ..]) => self.at_deployments(method, rest, query, body),
            _ => refused(404),
        }
    }

    fn at_comment(&mut self, method: &str, id: &str, body: &Value) -> Answer {
        let Some(index) = self
            .comments
            .iter()
            .position(|comment| comment.0.to_string() == id)
        else {
            return refused(404);
        };
        if method == "DELETE" {
            self.comments.remove(index);
            return (204, String::new(), String::new());
        }
        body["body"]
            .as_str()
            .unwrap()
            .clone_into(&mut self.comments[index].1);
        ok(&json!({}))
    }

    fn at_deployments(&mut self, method: &str, rest: &[&str], query: &str, body: &Value) -> Answer {
        let wanted = |row: &&Value| {
            let environment = row["environment"].as_str().unwrap().replace('/', "%2F");
            query.contains(&format!("environment={environment}&"))
                && (!query.contains("sha=") || query.contains(row["ref"].as_str().unwrap()))
        };
        match (method, rest) {
            ("GET", []) => page(
                self.deployments.iter().filter(wanted).cloned().collect(),
                query,
            ),
            ("POST", []) => {
                let mut row = body.clone();
                row["id"] = json!(self.next());
                row["statuses"] = json!([]);
                self.deployments.push(row.clone());
                ok(&row)
            }
            (_, [id, "statuses"]) => {
                let row = self
                    .deployments
                    .iter_mut()
                    .find(|row| row["id"].as_u64() == id.parse().ok())
                    .unwrap();
                let statuses = row["statuses"].as_array_mut().unwrap();
                if method == "POST" {
                    assert!(body["description"].as_str().unwrap().chars().count() <= 140);
                    statuses.insert(0, body.clone());
                }
                ok(&Value::from(statuses.clone()))
            }
            _ => refused(404),
        }
    }
}

fn page(rows: Vec<Value>, query: &str) -> Answer {
    let number = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let mut found = pairs.filter(|(key, _)| *key == name);
        found
            .next_back()
            .map_or(1, |(_, value)| value.parse::<usize>().unwrap())
    };
    let (page, size) = (number("page"), number("per_page"));
    let shown: Vec<&Value> = rows.iter().skip((page - 1) * size).take(size).collect();
    let more = rows.len() > page * size;
    let link = if more {
        "Link: <http://elsewhere.test/>; rel=\"next\", <x>; rel=\"last\"\r\n"
    } else {
        ""
    };
    (200, link.to_owned(), json!(shown).to_string())
}
