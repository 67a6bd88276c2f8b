//! Two tasks in different modules whose exports have the same name.

mod first {
    #[wasmpool_guest::task]
    fn count_words(text: &str) -> usize {
        text.split_whitespace().count()
    }
}

mod second {
    use wasmpool_guest::task;

    #[task]
    fn count_words(text: &str) -> usize {
        text.split(' ').count()
    }
}
