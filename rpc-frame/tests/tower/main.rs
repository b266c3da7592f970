//! Client and server as tower services, with tower's own layers around them.

mod balance; // several servers
mod client; //  calls as services
mod desk; //    a program whose handlers wait for the test
mod retry; //   which calls are made again
mod server; //  layers around programs

#[path = "../log/mod.rs"]
mod log; //     what a thread logs

#[path = "../../examples/balance.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod example;
