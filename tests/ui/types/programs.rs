//! Three programs side by side.
use rpc_frame::tokio::Server;
use rpc_frame::{Context, program};

struct Echo;

mod version1 {
    #[derive(rpc_frame::ProcedureTable)]
    #[rpc(program = 7, version = 1, service = EchoService)]
    pub enum Echoes {
        #[rpc(proc = 1, reply = u32)]
        Say(u32),
    }
}

impl version1::EchoService for Echo {
    async fn say(&self, _: &Context, args: u32) -> u32 {
        args
    }
}

fn main() {
    let one = || program::<version1::Echoes, _>(Echo);
    let _ = Server::new((one(), one(), one()));
}
