//! Both ends, the links between them, and the clock.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::end::End;
use crate::link::Link;
use crate::plan::{Act, LEAST_LIMIT, Plan, millis};

/// An engine whose program waits for ever looks at the clock now and then; so often in a row is often enough.
const MOST_IDLE: usize = 20;

pub(crate) struct World {
    pub(crate) ends: [End; 2],
    /// From the end of the same index to the other.
    links: [Link; 2],
    agenda: BTreeMap<(Duration, usize), (usize, Act)>,
}

impl World {
    /// Until nothing more happens.
    pub(crate) fn run(plan: &Plan) -> Self {
        let [a, b] = &plan.ends;
        let mut agenda = BTreeMap::new();
        for (index, end) in plan.ends.iter().enumerate() {
            for (at, act) in &end.acts {
                agenda.insert((millis(*at), agenda.len()), (index, *act));
            }
        }
        let ends = [End::new(0, a, &b.config), End::new(1, b, &a.config)];
        let mut world = Self { ends, links: [Link::new(&plan.links[0]), Link::new(&plan.links[1])], agenda };
        let mut now = Duration::ZERO;
        // Moments, and those at the end of them at which nothing happened.
        let (mut moments, mut idle) = (0_u128, 0);
        loop {
            world.act(now);
            let moved = world.settle(now);
            idle = if moved { 0 } else { idle + 1 };
            let Some(next) = world.next(now) else { break };
            if idle > MOST_IDLE && !world.expects_something(now) {
                break;
            }
            assert!(next > now, "time goes on");
            now = next;
            moments += 1;
            // Each moment has its reason: a piece arrives, a program acts, a handler ends, or a limit may be reached.
            let pieces = world.links.iter().map(|link| link.pieces as u128).sum::<u128>();
            assert!(moments <= 1_000 + pieces + 8 * now.as_millis() / u128::from(LEAST_LIMIT), "time goes on in leaps");
        }
        for end in &mut world.ends {
            if !end.gone {
                end.leave();
            }
        }
        let [a, b] = &world.ends;
        a.model.assert_agrees_with(&b.model);
        b.model.assert_agrees_with(&a.model);
        world
    }

    fn next(&self, now: Duration) -> Option<Duration> {
        let timeouts = self.ends.iter().filter(|end| !end.gone).filter_map(|end| end.engine.next_timeout());
        timeouts.chain(self.next_happening(now)).min()
    }

    fn expects_something(&self, now: Duration) -> bool {
        self.next_happening(now).is_some()
    }

    /// The next thing that is not only an engine's look at the clock.
    fn next_happening(&self, now: Duration) -> Option<Duration> {
        let handlers = self.ends.iter().filter(|end| !end.gone).filter_map(End::next_answer);
        // What has arrived waits for an end that does not read; what is under way to nobody does not count.
        let links = self.links.iter().filter(|link| !link.reader_gone);
        let arrivals = links.filter_map(Link::next_arrival).filter(|at| *at > now);
        handlers.chain(arrivals).chain(self.agenda.keys().map(|(at, _)| *at)).min()
    }

    fn act(&mut self, now: Duration) {
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= now) {
            match entry.remove() {
                (_, Act::Cut) => {
                    for end in self.ends.iter_mut().filter(|end| !end.gone) {
                        end.leave();
                    }
                }
                (index, act) => self.ends[index].act(now, act),
            }
        }
    }

    /// Whatever can happen now does. True when that was anything.
    fn settle(&mut self, now: Duration) -> bool {
        let gone = |ends: &[End; 2]| ends.iter().filter(|end| end.gone).count();
        let before = gone(&self.ends);
        let mut moved = self.turn(now);
        // Time passes when what has come was taken up.
        self.ends.iter_mut().for_each(|end| end.pass_time(now));
        moved |= self.turn(now);
        self.ends.iter_mut().for_each(|end| end.assert_settled(now));
        moved || gone(&self.ends) > before
    }

    fn turn(&mut self, now: Duration) -> bool {
        let Self { ends: [a, b], links: [there, back], .. } = self;
        let mut moved = false;
        loop {
            let any = a.turn(now, there, back) | b.turn(now, back, there);
            hang_up(a, there, back);
            hang_up(b, back, there);
            if !any {
                return moved;
            }
            moved = true;
        }
    }
}

/// What has left sends no more and reads no more.
fn hang_up(end: &End, to: &mut Link, from: &mut Link) {
    if end.gone {
        to.finish();
        from.reader_gone = true;
    }
}
