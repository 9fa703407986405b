"""What is kept, and whose turn it is: opening a storage, the study's identity, and claims on its budget."""
