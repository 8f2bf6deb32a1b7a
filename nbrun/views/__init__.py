"""Views: functions of events into something a person looks at. None knows the kernel or engine."""
