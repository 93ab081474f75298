"""Whether the two stores agree: the items in DynamoDB, the rows in SQL, and the columns that refer to cards."""
