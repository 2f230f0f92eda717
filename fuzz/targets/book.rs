//! The file of those who may join: what is read is what is written, and whatever is done with it, it stays one.

use fabric_seal::{PublicKey, Secret};
use messenger_core::{Name, NodeId};
use minet_node::trust::{Book, Invited};

/// All that a book says.
fn told(book: &Book) -> String {
    let members: Vec<_> = book.members().collect();
    let invitations: Vec<_> = book.invitations().map(|i| (i.secret.expose(), i)).collect();
    format!("{members:?} {:?} {invitations:?}", book.revoked().collect::<Vec<_>>())
}

fn again(book: &Book) -> Book {
    let text = book.emit().unwrap_or_else(|e| panic!("what was read can be written: {e}"));
    let again = Book::parse(&text, Vec::new()).unwrap_or_else(|e| panic!("what was written can be read: {e}\n{text}"));
    assert_eq!(told(book), told(&again));
    again
}

pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut book = match Book::parse(text, Vec::new()) {
        Ok(book) => book,
        Err(told) => return assert!(!told.is_empty()),
    };
    again(&book);
    let byte = input.first().copied().unwrap_or(1);
    let (Some(node), Ok(name)) = (NodeId::new(u32::from(byte) + 1), Name::new("guest")) else { return };
    let invited = Invited { secret: Secret::new([byte; 32]), node, name, made: 1, until: 2, used_by: None };
    let before = told(&book);
    match book.invite(invited) {
        Ok(id) => {
            assert!(book.invitations().count() <= 256);
            let key = PublicKey::new([byte; 32]);
            let joined = book.join(&id, key);
            let mut book = again(&book);
            if let Ok(member) = joined {
                assert_eq!(book.member(&key), Some(&member));
                assert!(book.revoke("guest").is_ok_and(|keys| keys.contains(&key)));
                assert_eq!(book.member(&key), None, "revoked");
                assert!(again(&book).member(&key).is_none());
            }
        }
        Err(_) => assert_eq!(told(&book), before, "what is refused changes nothing"),
    }
}
