//! The holder's side: until when it may write.

use model::{Epoch, SiteId, Time};

use super::Terms;

/// One epoch and the grants that carry it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    pub epoch: Epoch,
    terms: Terms,
    majority: usize,
    /// When the latest granted request to each voter was sent; the latest of them first.
    granted: Vec<(SiteId, Time)>,
    /// Follows from the grants. It is read for every byte of an answer, and grants are rare.
    deadline: Option<Time>,
}

impl Holder {
    pub fn new(epoch: Epoch, terms: Terms, majority: usize) -> Self {
        Self { epoch, terms, majority, granted: Vec::new(), deadline: None }
    }

    /// A voter granted what was sent at `sent`. Answers may overtake one another.
    pub fn granted(&mut self, voter: &SiteId, sent: Time) {
        match self.granted.iter_mut().find(|(known, _)| known == voter) {
            Some((_, latest)) => *latest = sent.max(*latest),
            None => self.granted.push((voter.clone(), sent)),
        }
        self.granted.sort_by(|(_, a), (_, b)| b.cmp(a));
        self.deadline = self.ends();
    }

    /// The right to write ends here; `None` without a majority.
    pub fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    fn ends(&self) -> Option<Time> {
        let sent = &self.granted;
        sent.get(self.majority - 1).map(|(_, sent)| *sent + self.terms.right())
    }

    pub fn holds(&self, now: Time) -> bool {
        self.deadline().is_some_and(|deadline| now < deadline)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_second_latest_of_three_grants_counts() {
        let terms = Terms { lease: Duration::from_secs(5), drift_ppm: 10_000, stop_margin: Duration::from_millis(200) };
        let (a, b, w) = (SiteId::new("a"), SiteId::new("b"), SiteId::new("w"));
        let mut holder = Holder::new(Epoch::none().next(&a), terms, 2);
        holder.granted(&a, Time(3_000_000));
        assert_eq!(holder.deadline(), None);
        holder.granted(&b, Time(1_000_000));
        assert_eq!(holder.deadline(), Some(Time(5_750_000)), "sent + 5 s − 1 % − 200 ms");
        holder.granted(&w, Time(2_000_000));
        assert_eq!(holder.deadline(), Some(Time(6_750_000)));
        holder.granted(&w, Time(1_000_000));
        assert_eq!(holder.deadline(), Some(Time(6_750_000)), "a late answer takes nothing away");
        assert!(holder.holds(Time(6_749_999)));
        assert!(!holder.holds(Time(6_750_000)));
    }
}
