/* In C, but not in C++: a pointer of any type from one of none. */
struct list {
  struct list *next;
  int class;
};

int sum(void *first) {
  int all = 0;
  for (struct list *list = first; list; list = list->next) all += list->class * list->class;
  return all;
}
