//! What every process of a run carries in its environment, by which it is found again wherever it went.

/// The variable that marks every process of a session: a list, since a stack may run inside another.
pub const VARIABLE: &str = "XTASK_SESSION";

/// The variable that marks every process of a service: a list like [`VARIABLE`], of sessions with the service's name.
pub const SERVICE_VARIABLE: &str = "XTASK_SERVICE";

/// This session, and those that it is inside of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// The session's id.
    pub session: String,
    /// The value of [`VARIABLE`] outside.
    pub outer_sessions: Option<String>,
    /// The value of [`SERVICE_VARIABLE`] outside.
    pub outer_services: Option<String>,
}

impl Marks {
    /// The value of [`VARIABLE`].
    pub fn sessions(&self) -> String {
        appended(self.outer_sessions.as_deref(), &self.session)
    }

    /// The value of [`SERVICE_VARIABLE`] for a service.
    pub fn services(&self, service: &str) -> String {
        appended(self.outer_services.as_deref(), &service_mark(&self.session, service))
    }
}

fn appended(outer: Option<&str>, item: &str) -> String {
    outer.map_or_else(|| item.to_owned(), |outer| format!("{outer},{item}"))
}

/// What the processes of a service carry in [`SERVICE_VARIABLE`].
pub fn service_mark(session: &str, service: &str) -> String {
    format!("{session}/{service}")
}

#[cfg(test)]
mod tests {
    use super::Marks;

    #[test]
    fn a_stack_inside_another_carries_the_marks_of_both() {
        let alone = Marks { session: "own".to_owned(), ..Marks::default() };
        assert_eq!((alone.sessions(), alone.services("web")), ("own".into(), "own/web".into()));
        let inner = Marks {
            outer_sessions: Some("outer".to_owned()),
            outer_services: Some("outer/api".to_owned()),
            ..alone
        };
        let expected = ("outer,own".into(), "outer/api,own/web".into());
        assert_eq!((inner.sessions(), inner.services("web")), expected);
    }
}
