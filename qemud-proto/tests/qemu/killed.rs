//! Daemons that are killed at any moment of what they do: afterwards all is as before or as after, nothing is lost, and
//! nothing runs that the next daemon does not know.

use std::env;
use std::fs;
use std::thread;
use std::time::Instant;

use qemud_proto::failure::Reply;
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;
use rpc_frame::Procedure;

use crate::daemon::{Caller, guestd, serve};
use crate::life::with_button;
use crate::scene::{Scene, emulator, names, until, xml};

/// At how many moments of each call the daemon is killed: where files alone change, and where a guest does.
const MOMENTS_OF_FILES: u32 = 40;
const MOMENTS_OF_GUESTS: u32 = 12;
/// The variable with another number for both.
const MOMENTS: &str = "GUEST_KILL_MOMENTS";

fn moments(usual: u32) -> u32 {
    env::var(MOMENTS).map_or(usual, |moments| moments.parse().unwrap())
}

/// Has a daemon killed at moments of a call, from its beginning to beyond its end, and looks each time, with the next
/// daemon, whether `look` likes what it finds. It is told whether the client was told that the call had succeeded.
async fn at_any_moment<T, P>(
    scene: &Scene,
    moments: u32,
    call: impl AsyncFn(&Caller) -> P,
    look: impl AsyncFn(&Caller, bool),
) where
    T: Send + 'static,
    P: Procedure<Args = P, Reply = Reply<T>> + Send + Sync + 'static,
{
    let mut whole = None;
    let mut succeeded = 0;
    let mut daemon = serve(guestd(scene));
    for moment in 0..=moments {
        let caller = Caller::connect(scene).await;
        // All that it looks for once, so that it is not killed while it looks.
        caller.call(GetVersion).await;
        let call = call(&caller).await;
        let begin = Instant::now();
        let answer = tokio::spawn(async move { caller.try_call(&call).await });
        let answer = match whole {
            // The first one is done in peace.
            None => {
                let answer = answer.await.unwrap();
                whole = Some(begin.elapsed());
                answer
            }
            Some(whole) => {
                // A choice of moment: nothing is waited for.
                thread::sleep((whole * moment * 5 / (moments * 4)).saturating_sub(begin.elapsed()));
                daemon.0.kill().unwrap();
                answer.await.unwrap()
            }
        };
        drop(daemon);
        daemon = serve(guestd(scene));
        let told = match answer {
            None => false,
            Some(Ok(_)) => true,
            Some(Err(failure)) => panic!("{failure}"),
        };
        succeeded += u32::from(told);
        look(&Caller::connect(scene).await, told).await;
    }
    println!("{}: {succeeded} of {moments} calls ended before the daemon, in {whole:?}", P::NAME);
}

/// What is left of a guest that does not run: nothing.
fn nothing_runs(scene: &Scene) {
    // One may be at its end.
    until("nothing runs", || scene.processes().is_empty());
    until("nothing is left", || scene.left().is_empty());
}

/// A guest of the next daemon runs, and once.
fn one_runs(scene: &Scene, state: Option<RunState>) {
    assert_eq!(state, Some(RunState::Running));
    assert_eq!(scene.processes().len(), 1);
}

/// Nobody else's files, and none that are half written.
fn files_are_whole(scene: &Scene) {
    let left = names(&scene.definitions());
    assert!(left.iter().all(|name| ["a.xml", "autostart", "lock", "networks"].contains(&name.as_str())), "{left:?}");
}

/// A definition that starts nothing, since there is no such emulator.
fn never_starts(uuid: Uuid) -> String {
    xml("a", uuid).replace("<devices>", "<devices><emulator>/nowhere/qemu</emulator>")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_while_it_defines_leaves_a_whole_definition_or_none() {
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let call = async |caller: &Caller| {
        if caller.state(uuid).await.is_some() {
            caller.call(DomainUndefine { uuid }).await;
        }
        DomainDefine { xml: xml("a", uuid) }
    };
    at_any_moment(&scene, moments(MOMENTS_OF_FILES), call, async |caller, told| {
        match caller.state(uuid).await {
            None => assert!(!told, "a definition was lost"),
            Some(_) => assert_eq!(caller.call(DomainDumpXml { uuid }).await.xml, xml("a", uuid)),
        }
        files_are_whole(&scene);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_while_it_defines_anew_leaves_the_old_definition_or_the_new_one() {
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let new = never_starts(uuid).replace("65536", "32768");
    let call = async |caller: &Caller| {
        caller.define(never_starts(uuid)).await;
        caller.call(DomainSetAutostart { uuid, autostart: true }).await;
        DomainDefine { xml: new.clone() }
    };
    at_any_moment(&scene, moments(MOMENTS_OF_FILES), call, async |caller, told| {
        let there = caller.call(DomainDumpXml { uuid }).await.xml;
        assert!(there == new || (!told && there == never_starts(uuid)), "{there}");
        assert!(caller.call(DomainGetAutostart { uuid }).await, "its mark was lost");
        files_are_whole(&scene);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_while_it_forgets_a_definition_leaves_it_with_its_mark_or_nothing() {
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let call = async |caller: &Caller| {
        caller.define(never_starts(uuid)).await;
        assert!(!caller.call(DomainGetAutostart { uuid }).await, "a mark came back from the dead");
        caller.call(DomainSetAutostart { uuid, autostart: true }).await;
        DomainUndefine { uuid }
    };
    at_any_moment(&scene, moments(MOMENTS_OF_FILES), call, async |caller, told| {
        if caller.state(uuid).await.is_some() {
            assert!(!told, "a definition came back from the dead");
            assert!(caller.call(DomainGetAutostart { uuid }).await, "its mark was lost");
            // The daemon may just be trying to start it.
            while caller.try_call(&DomainUndefine { uuid }).await.unwrap().is_err() {}
        }
        files_are_whole(&scene);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_while_it_marks_a_definition_has_marked_it_or_not() {
    for autostart in [true, false] {
        let (scene, uuid) = (Scene::new(), Uuid::random());
        let call = async |caller: &Caller| {
            caller.define(never_starts(uuid)).await;
            caller.call(DomainSetAutostart { uuid, autostart: !autostart }).await;
            DomainSetAutostart { uuid, autostart }
        };
        at_any_moment(&scene, moments(MOMENTS_OF_FILES / 2), call, async |caller, told| {
            let marked = caller.call(DomainGetAutostart { uuid }).await;
            assert!(!told || marked == autostart, "what was told is not so");
            assert_eq!(caller.call(DomainDumpXml { uuid }).await.xml, never_starts(uuid));
            files_are_whole(&scene);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_while_it_starts_a_guest_leaves_it_running_or_nothing() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let call = async |caller: &Caller| {
        caller.define(xml("a", uuid)).await;
        match caller.id(uuid).await {
            -1 => {}
            id => caller.call(DomainDestroy { id }).await,
        }
        DomainStart { uuid }
    };
    at_any_moment(&scene, moments(MOMENTS_OF_GUESTS), call, async |caller, told| match caller.state(uuid).await {
        Some(RunState::Stopped) => {
            assert!(!told, "a guest was lost");
            nothing_runs(&scene);
        }
        state => one_runs(&scene, state),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_while_it_ends_a_guest_has_ended_it_or_not() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let call = async |caller: &Caller| {
        if caller.state(uuid).await.is_none() {
            caller.call(DomainCreate { xml: xml("a", uuid) }).await;
        }
        DomainDestroy { id: caller.id(uuid).await }
    };
    at_any_moment(&scene, moments(MOMENTS_OF_GUESTS), call, async |caller, told| {
        // It may be found at its end, and is then not there any more when it is asked.
        match caller.try_call(&DomainGetInfo { uuid }).await.unwrap() {
            Ok(info) => {
                assert!(!told, "it was ended, and runs on");
                assert_eq!(info.runstate, RunState::Running);
            }
            Err(_) => nothing_runs(&scene),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_while_it_presses_a_guests_button_has_pressed_it_or_leaves_it_to_the_next() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let call = async |caller: &Caller| {
        caller.define(with_button(&scene, uuid)).await;
        let id = caller.call(DomainStart { uuid }).await;
        // Long enough for most to listen to their button.
        while caller.call(DomainGetInfo { uuid }).await.cpu_time < 500_000_000 {}
        DomainShutdown { id }
    };
    at_any_moment(&scene, moments(MOMENTS_OF_GUESTS / 2), call, async |caller, _| {
        // It may be found at its end, and is then not there any more when it is asked.
        while let Ok(info) = caller.try_call(&DomainGetInfo { uuid }).await.unwrap()
            && info.runstate == RunState::Running
        {
            let _ = caller.try_call(&DomainShutdown { id: caller.id(uuid).await }).await.unwrap();
        }
        nothing_runs(&scene);
        assert_eq!(caller.state(uuid).await, Some(RunState::Stopped));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_while_it_saves_a_guest_leaves_it_running_or_saved() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    fs::create_dir(scene.path("saved")).unwrap();
    let path = scene.text("saved/a");
    let call = async |caller: &Caller| {
        if caller.state(uuid).await.is_none() {
            caller.call(DomainCreate { xml: xml("a", uuid) }).await;
        }
        let _ = fs::remove_file(&path);
        DomainSave { id: caller.id(uuid).await, path: path.clone() }
    };
    at_any_moment(&scene, moments(MOMENTS_OF_GUESTS), call, async |caller, told| match caller.state(uuid).await {
        // It was not defined, so that it is only where it was saved to.
        None => {
            nothing_runs(&scene);
            assert_eq!(names(&scene.path("saved")), ["a"]);
            caller.call(DomainRestore { path: path.clone() }).await;
            one_runs(&scene, caller.state(uuid).await);
        }
        state => {
            assert!(!told, "it was saved, and runs on");
            one_runs(&scene, state);
            assert_eq!(names(&scene.path("saved")), [""; 0], "half a file");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_while_it_restores_a_guest_leaves_it_running_or_saved() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let path = scene.text("a.save");
    let call = async |caller: &Caller| {
        match caller.state(uuid).await {
            // Saved once, and as good as before each time.
            Some(_) => caller.call(DomainDestroy { id: caller.id(uuid).await }).await,
            None if !scene.path("a.save").exists() => {
                let id = caller.call(DomainCreate { xml: xml("a", uuid) }).await.id;
                caller.call(DomainSave { id, path: path.clone() }).await;
            }
            None => {}
        }
        DomainRestore { path: path.clone() }
    };
    at_any_moment(&scene, moments(MOMENTS_OF_GUESTS), call, async |caller, told| match caller.state(uuid).await {
        None => {
            assert!(!told, "a guest was lost");
            nothing_runs(&scene);
        }
        state => one_runs(&scene, state),
    })
    .await;
}
