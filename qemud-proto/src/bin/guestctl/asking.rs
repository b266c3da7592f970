//! Many questions to the daemon at a time: a guest that does not answer holds up no question about another.

use futures_util::stream::{self, StreamExt};

/// Questions that wait for their answers: half of those that a daemon takes up of one connection, so that there is room for
/// others beside them.
pub(crate) const IN_FLIGHT: usize = 32;

/// Asks each of these questions, [`IN_FLIGHT`] at a time. The answers are in the order of the questions.
pub(crate) async fn each<Q, A: Future>(questions: impl IntoIterator<Item = Q>, ask: impl Fn(Q) -> A) -> Vec<A::Output> {
    let ask = |(place, question)| {
        let answer = ask(question);
        async move { (place, answer.await) }
    };
    // Not in order here: then the first that is late would hold up those that have not been asked yet.
    let asked = stream::iter(questions.into_iter().enumerate().map(ask)).buffer_unordered(IN_FLIGHT);
    let mut answers: Vec<_> = asked.collect().await;
    answers.sort_unstable_by_key(|(place, _)| *place);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn questions_are_asked_at_once_but_for_a_bound_and_answered_in_order() {
        let (now, most) = (Cell::new(0), Cell::new(0));
        let begin = Instant::now();
        // The first and the last take longest.
        let answers = each(0..100_u32, async |number| {
            now.set(now.get() + 1);
            most.set(now.get().max(most.get()));
            sleep(Duration::from_secs(if number % 99 == 0 { 10 } else { 1 })).await;
            now.set(now.get() - 1);
            number
        })
        .await;
        assert!(answers.into_iter().eq(0..100));
        assert_eq!(most.get(), IN_FLIGHT);
        // 98 of a second each beside the first, and the last as soon as it has a place.
        assert_eq!(begin.elapsed(), Duration::from_secs(13));
    }
}
