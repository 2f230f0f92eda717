//! The list of those who may join, and what changed it since the configuration was written.

use fabric_seal::{InvitationId, PublicKey, Secret, Standing};
use messenger_core::{Name, NodeId};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Read, Write},
    net::SocketAddr,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// Invitations that are remembered; the oldest used or expired ones give way.
const INVITATIONS: usize = 256;
/// How far a clock may be behind the time at which an invitation was made.
const SLACK: u64 = 300;

/// No file is longer, in bytes.
const MOST: u64 = 4 << 20;
/// `O_NONBLOCK` of Linux: opening does not wait for the other end of a pipe.
const NONBLOCK: i32 = 0o4000;

/// A node that may join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub node: NodeId,
    /// Its name.
    pub name: Name,
    /// Its public key.
    pub key: PublicKey,
    /// Where to call it; without one it calls.
    pub address: Option<SocketAddr>,
}

/// Why the book cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// Others can read or change it.
    #[error("{path} has mode {mode:03o}: others can read or change who may join (`chmod 600` it)")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is not what was written.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Somebody else has it.
    #[error("the {what} {value} is that of the member {name} already")]
    Taken {
        /// `name`, `number` or `key`.
        what: &'static str,
        /// Which.
        value: String,
        /// Whose.
        name: Name,
    },
    /// Nobody has that name.
    #[error("no member and no open invitation has the name or number {0}")]
    Nobody(String),
}

/// An invitation that was made here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invited {
    /// What proves it.
    pub secret: Secret,
    /// For which number.
    pub node: NodeId,
    /// For which name.
    pub name: Name,
    /// When it was made, in seconds since 1970.
    pub made: u64,
    /// Until when it is good.
    pub until: u64,
    /// Who used it.
    pub used_by: Option<PublicKey>,
}

impl Invited {
    /// How it stands at the time `wall` (seconds since 1970) which is `now` by the caller's clock. A clock that stands
    /// before the invitation was made cannot judge; then nobody comes in.
    pub fn standing(&self, wall: u64, now: Duration) -> Standing {
        match self.used_by {
            Some(by) => Standing::Used { by },
            None if wall >= self.until || wall + SLACK < self.made => Standing::Expired,
            None => Standing::Open { until: now.saturating_add(Duration::from_secs(self.until - wall)) },
        }
    }
}

/// Who may join.
#[derive(Debug)]
pub struct Book {
    path: Option<PathBuf>,
    /// Of the configuration.
    listed: Vec<Member>,
    joined: Vec<Member>,
    revoked: BTreeSet<PublicKey>,
    invited: BTreeMap<InvitationId, Invited>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    revoked: Vec<String>,
    #[serde(default)]
    member: Vec<MemberFile>,
    #[serde(default)]
    invitation: Vec<InvitedFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberFile {
    id: u32,
    name: String,
    key: String,
    address: Option<SocketAddr>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InvitedFile {
    id: u32,
    name: String,
    secret: String,
    made: u64,
    until: u64,
    used_by: Option<String>,
}

impl Book {
    /// The list of the configuration and the file at `path`, which need not be there yet.
    ///
    /// # Errors
    /// The file cannot be read, is open to others, or is damaged.
    pub fn open(path: Option<&Path>, listed: Vec<Member>) -> Result<Book, BookError> {
        let text = match path {
            Some(path) => read(path)?,
            None => None,
        };
        let damaged = |what| BookError::Damaged { path: path.map(Path::to_path_buf).unwrap_or_default(), what };
        let book = Book::parse(text.as_deref().unwrap_or_default(), listed).map_err(damaged)?;
        Ok(Book { path: path.map(Path::to_path_buf), ..book })
    }

    /// The list of the configuration and the text of a file; it has no file of its own.
    ///
    /// # Errors
    /// What is wrong with the text, for people.
    pub fn parse(text: &str, listed: Vec<Member>) -> Result<Book, String> {
        let mut book =
            Book { path: None, listed, joined: Vec::new(), revoked: BTreeSet::new(), invited: BTreeMap::new() };
        let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
        book.fill(file).ok_or("a key, name or number in it is none")?;
        Ok(book)
    }

    fn fill(&mut self, file: File) -> Option<()> {
        for m in file.member {
            let (node, name) = (NodeId::new(m.id)?, Name::new(&m.name).ok()?);
            self.joined.push(Member { node, name, key: m.key.parse().ok()?, address: m.address });
        }
        for key in file.revoked {
            self.revoked.insert(key.parse().ok()?);
        }
        for i in file.invitation {
            let secret: PublicKey = i.secret.parse().ok()?;
            let used_by = i.used_by.map(|key| key.parse()).transpose().ok()?;
            let (node, name) = (NodeId::new(i.id)?, Name::new(&i.name).ok()?);
            let secret = Secret::new(*secret.as_bytes());
            let id = InvitationId::of(&secret);
            self.invited.insert(id, Invited { secret, node, name, made: i.made, until: i.until, used_by });
        }
        Some(())
    }

    /// Those who may join now. Those that joined stand before those of the configuration.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.joined.iter().chain(&self.listed).filter(|m| !self.revoked.contains(&m.key))
    }

    /// Whose a key is.
    pub fn member(&self, key: &PublicKey) -> Option<&Member> {
        self.members().find(|m| m.key == *key)
    }

    /// Keys that may not join any more.
    pub fn revoked(&self) -> impl Iterator<Item = &PublicKey> {
        self.revoked.iter()
    }

    /// The invitations.
    pub fn invitations(&self) -> impl Iterator<Item = &Invited> {
        self.invited.values()
    }

    /// Makes an invitation for a new member; it is on disk when this returns.
    ///
    /// # Errors
    /// The name or number is taken, or the file cannot be written.
    pub fn invite(&mut self, invited: Invited) -> Result<InvitationId, BookError> {
        let taken = |what, value: String, name: &Name| Err(BookError::Taken { what, value, name: name.clone() });
        if let Some(member) = self.members().find(|m| m.name == invited.name) {
            return taken("name", invited.name.to_string(), &member.name);
        }
        if let Some(member) = self.members().find(|m| m.node == invited.node) {
            return taken("number", invited.node.to_string(), &member.name);
        }
        // A new invitation for the same node takes the place of one that nobody used.
        self.invited.retain(|_, i| i.used_by.is_some() || (i.name != invited.name && i.node != invited.node));
        while self.invited.len() >= INVITATIONS {
            let oldest = self.invited.iter().min_by_key(|(_, i)| (i.used_by.is_none(), i.made)).map(|(id, _)| *id);
            oldest.map(|id| self.invited.remove(&id));
        }
        let id = InvitationId::of(&invited.secret);
        self.invited.insert(id, invited);
        self.save()?;
        Ok(id)
    }

    /// Somebody joined with an invitation: it is used, and the key is a member's from now on.
    ///
    /// # Errors
    /// The key is another member's, or the file cannot be written: the member is one until the next start.
    pub fn join(&mut self, id: &InvitationId, key: PublicKey) -> Result<Member, BookError> {
        let other = self.member(&key).cloned();
        let Some(invited) = self.invited.get_mut(id) else { return Err(BookError::Nobody(id.to_string())) };
        invited.used_by = Some(key);
        let member = Member { node: invited.node, name: invited.name.clone(), key, address: None };
        if let Some(other) = other.filter(|other| other.name != member.name) {
            return Err(BookError::Taken { what: "key", value: key.to_string(), name: other.name });
        }
        self.revoked.remove(&key);
        self.joined.retain(|m| m.key != key && m.name != member.name && m.node != member.node);
        self.joined.push(member.clone());
        self.save()?;
        Ok(member)
    }

    /// Adds a member that invited us.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add(&mut self, member: Member) -> Result<(), BookError> {
        self.revoked.remove(&member.key);
        self.joined.retain(|m| m.key != member.key);
        self.joined.push(member);
        self.save()
    }

    /// Takes a member, named by name or number, off the list, and withdraws invitations for it. Returns its keys.
    ///
    /// # Errors
    /// There is no such member, or the file cannot be written: then it is revoked until the next start.
    pub fn revoke(&mut self, who: &str) -> Result<Vec<PublicKey>, BookError> {
        let is = |name: &Name, node: NodeId| &**name == who || who.parse() == Ok(node.get());
        let keys: Vec<PublicKey> = self.members().filter(|m| is(&m.name, m.node)).map(|m| m.key).collect();
        let before = self.invited.len();
        self.invited.retain(|_, i| i.used_by.is_some() || !is(&i.name, i.node));
        if keys.is_empty() && self.invited.len() == before {
            return Err(BookError::Nobody(who.to_owned()));
        }
        self.joined.retain(|m| !keys.contains(&m.key));
        self.revoked.extend(&keys);
        self.save()?;
        Ok(keys)
    }

    /// The text of its file: what the configuration does not tell.
    ///
    /// # Errors
    /// A time in it is later than a file can say.
    pub fn emit(&self) -> Result<String, String> {
        let member = |m: &Member| MemberFile {
            id: m.node.get(),
            name: m.name.to_string(),
            key: m.key.to_string(),
            address: m.address,
        };
        let invited = |i: &Invited| InvitedFile {
            id: i.node.get(),
            name: i.name.to_string(),
            secret: PublicKey::new(*i.secret.expose()).to_string(),
            made: i.made,
            until: i.until,
            used_by: i.used_by.map(|key| key.to_string()),
        };
        let file = File {
            revoked: self.revoked.iter().map(PublicKey::to_string).collect(),
            member: self.joined.iter().map(member).collect(),
            invitation: self.invited.values().map(invited).collect(),
        };
        toml::to_string(&file).map_err(|e| e.to_string())
    }

    /// Replaces the file in one step.
    fn save(&self) -> Result<(), BookError> {
        let Some(path) = &self.path else { return Ok(()) };
        let failed = |source| BookError::Write { path: path.clone(), source };
        let text = self.emit().map_err(|e| failed(io::Error::other(e)))?;
        let fresh = path.with_extension("new");
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(failed)?;
        }
        let write = || {
            let _ = fs::remove_file(&fresh);
            let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
            out.write_all(text.as_bytes())?;
            out.sync_all()?;
            fs::rename(&fresh, path)
        };
        write().map_err(failed)
    }
}

/// The text of a file that its owner alone can read and change; `None` when there is none.
fn read(path: &Path) -> Result<Option<String>, BookError> {
    let failed = |source| BookError::Read { path: path.to_path_buf(), source };
    let damaged = |what: &str| BookError::Damaged { path: path.to_path_buf(), what: what.to_owned() };
    // What is checked is what was opened.
    let mut options = fs::OpenOptions::new();
    let file = match options.read(true).custom_flags(NONBLOCK).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let about = file.metadata().map_err(failed)?;
    if !about.is_file() {
        return Err(damaged("it is not a file"));
    }
    let mode = about.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(BookError::Open { path: path.to_path_buf(), mode });
    }
    let mut text = String::new();
    file.take(MOST + 1).read_to_string(&mut text).map_err(|e| match e.kind() {
        io::ErrorKind::InvalidData => damaged("it is not text"),
        _ => failed(e),
    })?;
    if text.len() as u64 > MOST { Err(damaged("it is too long")) } else { Ok(Some(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u32, name: &str, key: u8) -> Member {
        let (node, name) = (NodeId::new(id).unwrap(), Name::new(name).unwrap());
        Member { node, name, key: PublicKey::new([key; 32]), address: None }
    }

    fn invited(id: u32, name: &str, secret: u8) -> Invited {
        let m = member(id, name, 0);
        Invited {
            secret: Secret::new([secret; 32]),
            node: m.node,
            name: m.name,
            made: 1000,
            until: 2000,
            used_by: None,
        }
    }

    fn names(book: &Book) -> Vec<String> {
        book.members().map(|m| m.name.to_string()).collect()
    }

    #[test]
    fn who_joined_and_who_was_revoked_is_known_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/a.trust");
        let listed = || vec![member(1, "a", 1), member(2, "b", 2)];
        let mut book = Book::open(Some(&path), listed()).unwrap();
        let id = book.invite(invited(3, "c", 9)).unwrap();
        assert_eq!(book.join(&id, PublicKey::new([3; 32])).unwrap(), member(3, "c", 3));
        assert_eq!(book.revoke("b").unwrap(), [PublicKey::new([2; 32])]);
        let mut book = Book::open(Some(&path), listed()).unwrap();
        assert_eq!(names(&book), ["c", "a"]);
        assert_eq!(book.invitations().next().unwrap().used_by, Some(PublicKey::new([3; 32])));
        assert_eq!(book.revoke("3").unwrap(), [PublicKey::new([3; 32])]);
        assert_eq!(names(&Book::open(Some(&path), listed()).unwrap()), ["a"]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(book.revoke("nobody").unwrap_err().to_string().contains("nobody"));
    }

    #[test]
    fn names_and_numbers_are_given_once() {
        let mut book = Book::open(None, vec![member(1, "a", 1)]).unwrap();
        assert!(book.invite(invited(5, "a", 9)).unwrap_err().to_string().contains("name a"));
        assert!(book.invite(invited(1, "n", 9)).unwrap_err().to_string().contains("number 1"));
        let first = book.invite(invited(5, "n", 8)).unwrap();
        let second = book.invite(invited(5, "n", 9)).unwrap();
        assert_eq!(book.invitations().count(), 1, "a new one takes the place of the old");
        assert!(book.join(&first, PublicKey::new([7; 32])).is_err());
        assert!(book.join(&second, PublicKey::new([1; 32])).is_err(), "the key of another member");
        book.revoke("5").unwrap_err();
    }

    #[test]
    fn an_open_invitation_is_withdrawn_by_revoking_its_name() {
        let mut book = Book::open(None, Vec::new()).unwrap();
        book.invite(invited(5, "n", 8)).unwrap();
        assert_eq!(book.revoke("n").unwrap(), []);
        assert_eq!(book.invitations().count(), 0);
    }

    #[test]
    fn a_clock_off_by_years_lets_nobody_in() {
        let (i, now) = (invited(3, "c", 9), Duration::from_secs(7));
        assert_eq!(i.standing(1500, now), Standing::Open { until: Duration::from_secs(507) });
        assert_eq!(i.standing(2000, now), Standing::Expired);
        assert_eq!(i.standing(0, now), Standing::Expired, "1970");
        assert_eq!(i.standing(u64::MAX / 2, now), Standing::Expired);
        assert_eq!(i.standing(900, now), Standing::Open { until: Duration::from_secs(1107) }, "a little off");
    }

    #[test]
    fn a_book_that_cannot_be_trusted_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.trust");
        for text in ["revoked = [\"x\"]", "nonsense", "[[member]]\nid = 0\nname = \"a\"\nkey = \"a\"", "colour = 1"] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let error = Book::open(Some(&path), Vec::new()).unwrap_err().to_string();
            assert!(error.contains("is damaged"), "{error}");
        }
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Book::open(Some(&path), Vec::new()), Err(BookError::Open { mode: 0o644, .. })));
    }

    /// A pipe that nobody writes, a folder, a disk of zeroes: nothing is waited for, and no more is read than a book has.
    #[test]
    fn what_is_no_book_is_told_at_once() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let told = |path: &Path| Book::open(Some(path), Vec::new()).unwrap_err().to_string();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        for path in [pipe.as_path(), dir.path(), Path::new("/dev/zero")] {
            assert!(told(path).contains("not a file"), "{}: {}", path.display(), told(path));
        }
        let path = dir.path().join("long");
        fs::write(&path, "#".repeat(MOST as usize + 1)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(told(&path).contains("too long"));
        fs::write(&path, [b'#', 0xff]).unwrap();
        assert!(told(&path).contains("not text"));
    }
}
