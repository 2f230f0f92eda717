//! Who may join, and who is who.
//!
//! The configuration has a list of members: number, name, public key. A second list, the *book*, is kept by the daemon in
//! a file of its own: who joined by invitation, which invitations there are, who was revoked. The book wins.

mod book;
mod join;
mod token;

pub use book::{Book, BookError, Invited, Member};
pub use join::{JoinError, Joined, join};
pub use token::{Token, TokenError};
