//! .
#[test] fn x(){}
